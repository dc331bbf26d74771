// Opening a checkpoint: files -> configuration -> weights -> backend -> model.
#include "qasr/engine.h"

#include <string>
#include <utility>

#include "backend/registry.h"
#include "engine/engine_impl.h"
#include "weights/describe.h"

namespace qasr {
std::shared_ptr<const Engine> Engine::Impl::open(const CheckpointFiles& files, const EngineOptions& options,
                                                 std::vector<std::unique_ptr<Backend>> backends) {
  const ModelConfig config = parse_model_config(files);
  if (config.is_forced_aligner) {
    throw Error(ErrorCode::kModel, files.where() +
                                       " is a forced aligner (it classifies time stamps), expected a "
                                       "speech recognition model such as Qwen3-ASR-0.6B; qasr align and --aligner take "
                                       "aligners");
  }
  const WeightStore weights(files, config);
  auto impl = std::make_unique<Engine::Impl>();
  impl->options = options;
  impl->info = describe_checkpoint(files, config, weights);
  for (PlacedModel& placed : place_models(files, config, weights, options, std::move(backends))) {
    EngineCopy& copy = impl->copies.emplace_back(EngineCopy{std::move(placed), nullptr});
    copy.scheduler = std::make_unique<Scheduler>(impl->schedulers, *copy.backend, *copy.model, options.scheduler,
                                                 kv_cache_dtype(options.kv_cache, options.weights));
  }
  impl->backend = impl->copies.front().backend.get();
  impl->model = impl->copies.front().model.get();
  return std::shared_ptr<const Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

std::shared_ptr<const Engine> Engine::open(const std::filesystem::path& model_dir, const EngineOptions& options) {
  return Impl::open(CheckpointFiles::open(model_dir), options, make_backends(options));
}

std::shared_ptr<const Engine> Engine::open(std::span<const ModelFile> files, const std::string& name,
                                           const EngineOptions& options) {
  return Impl::open(files_in_memory(files, name), options, make_backends(options));
}

const ModelInfo& Engine::info() const noexcept { return impl_->info; }
std::string Engine::backend_description() const {
  std::string all;
  for (const EngineCopy& copy : impl_->copies) all += (all.empty() ? "" : ", ") + copy.backend->description();
  return all;
}
EngineLoad Engine::current_load() const {
  EngineLoad sum;
  for (const EngineCopy& copy : impl_->copies) {
    const EngineLoad load = copy.scheduler->load();
    sum.n_requests += load.n_requests;
    sum.n_sequences += load.n_sequences;
    sum.n_waiting += load.n_waiting;
    sum.max_batch += load.max_batch;
    sum.n_kv_pages += load.n_kv_pages;
    sum.n_kv_pages_used += load.n_kv_pages_used;
    sum.n_decode_steps += load.n_decode_steps;
    sum.n_decode_rows += load.n_decode_rows;
  }
  return sum;
}

namespace {

ModelInfo describe(const CheckpointFiles& files) {
  const ModelConfig config = parse_model_config(files);
  ModelInfo info = describe_checkpoint(files, config, WeightStore(files, config));
  try {
    info.tokenizer = "byte-level BPE, " + std::to_string(load_tokenizer(files, config).size()) + " tokens";
  } catch (const Error& error) {
    info.tokenizer = std::string("none: ") + error.what();
  }
  return info;
}

}  // namespace

ModelInfo describe_model(const std::filesystem::path& model) { return describe(CheckpointFiles::open(model)); }

ModelInfo describe_model(std::span<const ModelFile> files, const std::string& name) {
  return describe(files_in_memory(files, name));
}

}  // namespace qasr
