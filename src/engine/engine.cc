// Opening a checkpoint: files -> configuration -> weights -> backend -> model.
#include "qasr/engine.h"

#include <string>
#include <utility>

#include "backend/registry.h"
#include "engine/engine_impl.h"
#include "engine/load_progress.h"
#include "weights/describe.h"

namespace qasr {
namespace {

std::unique_ptr<Engine::Impl> load(const CheckpointFiles& files, const EngineOptions& options) {
  const ModelConfig config = parse_model_config(files);
  if (config.is_forced_aligner) {
    throw Error(ErrorCode::kModel, files.where() +
                                       " is a forced aligner (it classifies time stamps), expected a "
                                       "speech recognition model such as Qwen3-ASR-0.6B");
  }
  const WeightStore weights(files, config);
  auto impl = std::make_unique<Engine::Impl>();
  impl->options = options;
  impl->info = describe_checkpoint(files, config, weights);
  impl->backend = make_backend(options);

  impl->packed_cache =
      open_packed_cache(options.cache_dir, files, weights, options.weights, *impl->backend, options.log);
  std::uint64_t total_bytes = 0;
  for (const HostTensor& tensor : weights.all()) total_bytes += stored_bytes(tensor);
  LoadProgress progress(total_bytes, options.log, LoadProgress::Clock::now());
  const WeightPacker packer(weights, *impl->backend, options.weights, [&](const HostTensor& tensor) {
    files.release(tensor);
    progress.add(stored_bytes(tensor), LoadProgress::Clock::now());
  });
  impl->model = std::make_unique<Model>(files, config, packer);
  if (impl->packed_cache != nullptr) impl->packed_cache->finish(*impl->backend);
  impl->scheduler = std::make_unique<Scheduler>(*impl->backend, *impl->model, options.scheduler,
                                                kv_cache_dtype(options.kv_cache, options.weights));
  return impl;
}

}  // namespace

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

std::shared_ptr<const Engine> Engine::open(const std::filesystem::path& model_dir, const EngineOptions& options) {
  return std::shared_ptr<const Engine>(new Engine(load(CheckpointFiles::open(model_dir), options)));
}

std::shared_ptr<const Engine> Engine::open(std::span<const ModelFile> files, const std::string& name,
                                           const EngineOptions& options) {
  std::vector<CheckpointFile> borrowed;
  for (const ModelFile& file : files) borrowed.push_back({file.name, file.bytes});
  return std::shared_ptr<const Engine>(
      new Engine(load(CheckpointFiles::from_memory(std::move(borrowed), name), options)));
}

const ModelInfo& Engine::info() const noexcept { return impl_->info; }
std::string Engine::backend_description() const { return impl_->backend->description(); }
EngineLoad Engine::current_load() const { return impl_->scheduler->load(); }

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
  std::vector<CheckpointFile> borrowed;
  for (const ModelFile& file : files) borrowed.push_back({file.name, file.bytes});
  return describe(CheckpointFiles::from_memory(std::move(borrowed), name));
}

}  // namespace qasr
