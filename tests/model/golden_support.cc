// See golden_support.h.
#include "golden_support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "backend/registry.h"
#include "base/mapped_file.h"
#include "weights/safetensors.h"

namespace qasr::testing {

std::filesystem::path source_path(const std::string& relative) {
  return std::filesystem::path(QASR_SOURCE_DIR) / relative;
}

nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("cannot read " + path.string());
  return nlohmann::json::parse(stream);
}

GoldenArrays::GoldenArrays(const std::filesystem::path& path) {
  const MappedFile file(path);
  for (const StoredTensor& tensor : read_safetensors(file.bytes(), path.string())) {
    Array& array = arrays_[tensor.name];
    array.dims = tensor.dims;
    const std::size_t count = tensor.bytes.size() / 4;
    if (tensor.dtype == DType::kF32) {
      array.floats.resize(count);
      std::memcpy(array.floats.data(), tensor.bytes.data(), tensor.bytes.size());
    } else if (tensor.dtype == DType::kI32) {
      array.ints.resize(count);
      std::memcpy(array.ints.data(), tensor.bytes.data(), tensor.bytes.size());
    } else {
      throw std::runtime_error(path.string() + ": " + tensor.name + " is " + tensor.dtype_text +
                               ", expected F32 or I32");
    }
  }
}

const GoldenArrays::Array& GoldenArrays::array(const std::string& name) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) throw std::runtime_error("no golden array " + name);
  return found->second;
}

const std::vector<float>& GoldenArrays::floats(const std::string& name) const { return array(name).floats; }
std::vector<std::int32_t> GoldenArrays::ints(const std::string& name) const { return array(name).ints; }

std::vector<std::string> backend_names() {
  return {"reference",   "generic",    "avx2", "avx2-vnni",    "avx512",   "avx512-vnni",
          "avx512-bf16", "avx512-amx", "neon", "neon-dotprod", "neon-i8mm"};
}

std::string test_name(std::string text) {
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

std::unique_ptr<Backend> make_backend_by_name(const std::string& name) {
  if (name == "reference") return make_reference_backend();
  if (name == "cuda") return cuda_problem().empty() ? make_cuda_backend(0) : nullptr;
  try {
    return make_cpu_backend(2, name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDevice || name == "generic") throw;
    return nullptr;
  }
}

namespace {

// Sums of squares over any number of rows.
struct Difference {
  double difference = 0, norm = 0;
  void add(std::span<const float> found, std::span<const float> expected) {
    if (found.size() != expected.size()) difference = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
      const double d = static_cast<double>(found[i]) - static_cast<double>(expected[i]);
      difference += d * d;
      norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
  }
  double relative() const { return std::sqrt(difference / norm); }
};

}  // namespace

double relative_error(std::span<const float> found, std::span<const float> expected) {
  Difference sums;
  sums.add(found, expected);
  return sums.relative();
}

double relative_error(const std::vector<std::vector<float>>& found, const std::vector<std::vector<float>>& expected) {
  Difference sums;
  for (std::size_t row = 0; row < expected.size(); ++row) sums.add(found.at(row), expected[row]);
  return sums.relative();
}

std::vector<float> download(Backend& backend, ConstTensorView view) {
  const auto n = static_cast<std::size_t>(view.shape.elements());
  std::vector<float> values(n);
  if (view.dtype == DType::kBf16) {
    std::vector<bf16> stored(n);
    backend.download(view, stored.data());
    std::transform(stored.begin(), stored.end(), values.begin(), [](bf16 value) { return to_f32(value); });
  } else {
    backend.download(view, values.data());
  }
  return values;
}

std::vector<float> pick_rows(std::span<const float> matrix, std::int64_t cols, std::span<const std::int32_t> rows) {
  std::vector<float> picked;
  for (std::int32_t row : rows) {
    const auto begin = matrix.begin() + static_cast<std::ptrdiff_t>(row * cols);
    picked.insert(picked.end(), begin, begin + static_cast<std::ptrdiff_t>(cols));
  }
  return picked;
}

BareModel::BareModel(const CheckpointFiles& files, Backend& backend, WeightFormat format)
    : config(parse_model_config(files)),
      weights(files, config),
      encoder(config.audio, {weights, backend, format}),
      decoder(config.text, config.audio_token_id, {weights, backend, format}) {}

EncoderStages encode_stages(Backend& backend, const AudioEncoder& encoder, const LogMelSpectrogram& features,
                            ShortClipPadding padding) {
  EncoderWorkspace workspace;
  DeviceTensor out;
  EncoderStages stages;
  const std::string last = "layer." + std::to_string(encoder.config().n_layers - 1);
  const auto keep = [&](const std::string& stage, std::int64_t first_row, ConstTensorView rows) {
    std::vector<float>& all = stages[stage];
    const std::vector<float> values = download(backend, rows);
    all.resize(std::max(all.size(), static_cast<std::size_t>((first_row + rows.rows()) * rows.cols())));
    std::copy(values.begin(), values.end(), all.begin() + static_cast<std::ptrdiff_t>(first_row * rows.cols()));
  };
  const LogMelSpectrogram* batch[] = {&features};
  encoder.forward(batch, padding, workspace, out,
                  [&](std::string_view stage, std::int64_t first_row, ConstTensorView rows) {
                    if (stage == "layer.0") keep("first_layer", first_row, rows);
                    if (stage == last) keep("last_layer", first_row, rows);
                    if (stage == "stem" || stage == "ln_post") keep(std::string(stage), first_row, rows);
                  });
  stages["output"] = download(backend, out.view());
  return stages;
}

DecoderRun run_decoder(Backend& backend, const TextDecoder& decoder, std::span<const DecoderPrompt> prompts,
                       int n_steps) {
  std::int64_t n_positions = 0;
  for (const DecoderPrompt& prompt : prompts) {
    n_positions += static_cast<std::int64_t>(prompt.ids.size()) + n_steps + KvPool::kPageTokens;
  }
  KvPool pool(backend, decoder.config(), n_positions, DType::kF32);
  std::vector<KvSequence> sequences;
  for (std::size_t i = 0; i < prompts.size(); ++i) sequences.emplace_back(pool);
  std::vector<PrefillInput> inputs;
  std::vector<KvSequence*> running;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    inputs.push_back({.sequence = &sequences[i], .ids = prompts[i].ids, .audio = prompts[i].audio});
    running.push_back(&sequences[i]);
  }

  DecoderRun run;
  run.ids.resize(prompts.size());
  DecoderWorkspace workspace;
  std::vector<std::int32_t> next(prompts.size());
  const auto logits = [&] {
    std::vector<std::vector<float>> rows;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      rows.push_back(download(backend, workspace.logits.view().slice_rows(static_cast<std::int64_t>(i), 1)));
    }
    return rows;
  };
  decoder.prefill(inputs, workspace, next);
  run.first_logits = logits();
  for (int step = 0;; ++step) {
    for (std::size_t i = 0; i < prompts.size(); ++i) run.ids[i].push_back(next[i]);
    if (step == n_steps - 1) break;
    decoder.decode_step(running, next, workspace, next);
  }
  run.last_logits = logits();
  return run;
}

std::vector<std::vector<float>> forced_logits(Backend& backend, const TextDecoder& decoder, const DecoderPrompt& prompt,
                                              std::span<const std::int32_t> tokens, DType kv_cache) {
  KvPool pool(backend, decoder.config(), static_cast<std::int64_t>(prompt.ids.size() + tokens.size()), kv_cache);
  KvSequence sequence(pool);
  KvSequence* running[] = {&sequence};
  const PrefillInput input{.sequence = &sequence, .ids = prompt.ids, .audio = prompt.audio};
  DecoderWorkspace workspace;
  std::int32_t next = 0;
  decoder.prefill(std::span(&input, 1), workspace, std::span(&next, 1));
  std::vector<std::vector<float>> logits = {download(backend, workspace.logits.view())};
  for (std::int32_t token : tokens.first(tokens.size() - 1)) {
    decoder.decode_step(running, std::span(&token, 1), workspace, std::span(&next, 1));
    logits.push_back(download(backend, workspace.logits.view()));
  }
  return logits;
}

}  // namespace qasr::testing
