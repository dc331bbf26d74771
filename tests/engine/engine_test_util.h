// What the tests of the engine share: the demonstration model's recordings, a tiny engine with made-up weights, and the
// answer of the model alone, step by step without any scheduler.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/engine_impl.h"
#include "engine/request_settings.h"
#include "model/search.h"
#include "qasr/engine.h"
#include "qasr/request.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::test {

inline const std::filesystem::path kDemoModel = std::filesystem::path(QASR_SOURCE_DIR) / "models/demo-en";

inline std::vector<float> demo_sample(const std::string& file) {
  return load_audio(kDemoModel / "samples" / file).samples;
}

/// Noise whose loudness comes and goes: something for made-up weights to answer.
inline std::vector<float> noise(double duration_s, std::uint32_t seed) {
  std::vector<float> samples(static_cast<std::size_t>(duration_s * kSampleRate));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    seed = seed * 1664525U + 1013904223U;
    const double loudness = 0.2 + 0.15 * ((n / 4000) % 3);
    samples[n] = static_cast<float>(loudness * (static_cast<double>(seed >> 8) / 8388608.0 - 1));
  }
  return samples;
}

/// Answers of exactly so many tokens: synthetic weights never end by themselves.
inline TranscribeOptions endless(int max_tokens) {
  return {.language = "English", .max_tokens = max_tokens, .guards = {.detect_repetition = false}};
}

/// A checkpoint with synthetic weights and the demonstration model's tokenizer, in a folder of its own.
class TinyCheckpoint {
 public:
  explicit TinyCheckpoint(const std::string& model = "tiny_b")
      : folder_(std::filesystem::temp_directory_path() / ("qasr_tiny_" + std::to_string(::getpid()) + "_" + model)) {
    std::filesystem::remove_all(folder_);
    write_synthetic_checkpoint(folder_, synthetic_model(model), {.dtype = DType::kF32, .tokenizer_dir = kDemoModel});
  }
  ~TinyCheckpoint() { std::filesystem::remove_all(folder_); }
  TinyCheckpoint(const TinyCheckpoint&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

  /// Rewrites the tensors whose names contain `part`: value(row, column) of each element.
  void set_weights(const std::string& part, const std::function<float(std::size_t, std::size_t)>& value) const {
    std::fstream file(folder_ / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    std::uint64_t header_bytes = 0;
    file.read(reinterpret_cast<char*>(&header_bytes), 8);
    std::string header(header_bytes, ' ');
    file.read(header.data(), static_cast<std::streamsize>(header_bytes));
    const nlohmann::json tensors = nlohmann::json::parse(header);
    for (const auto& [name, tensor] : tensors.items()) {
      if (name.find(part) == std::string::npos) continue;
      const auto shape = tensor.at("shape").get<std::vector<std::size_t>>();
      const std::size_t columns = shape.size() == 1 ? 1 : shape[1];
      std::vector<float> values;
      for (std::size_t row = 0; row < shape[0]; ++row) {
        for (std::size_t column = 0; column < columns; ++column) values.push_back(value(row, column));
      }
      file.seekp(static_cast<std::streamoff>(8 + header_bytes + tensor.at("data_offsets")[0].get<std::uint64_t>()));
      file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * 4));
    }
  }

 private:
  std::filesystem::path folder_;
};

struct Answer {
  std::vector<std::int32_t> ids;  // without the end token
  std::vector<float> log_probs;
};

/// The greedy answer of the model to one segment of at least 0.5 s: prefill and decode steps of one sequence.
inline Answer answer_alone(const Engine& engine, std::span<const float> samples, const TranscribeOptions& options,
                           int max_tokens) {
  const Engine::Impl& impl = engine.impl();
  const Model& model = *impl.model;
  Backend& backend = *impl.backend;
  const RequestSettings settings = resolve_settings(options);
  FrontEndWorkspace front_end;
  EncoderWorkspace encoder;
  DecoderWorkspace decoder;
  DeviceTensor audio;
  model.encoder().forward(model.front_end().compute({&samples, 1}, front_end), settings.short_clip_padding, encoder,
                          audio);
  const std::vector<std::int32_t> prompt =
      model.prompt().build(settings.system_text, settings.forced_language, static_cast<int>(audio.view().rows()));
  KvPool pool(backend, model.config().text, static_cast<std::int64_t>(prompt.size()) + max_tokens,
              kv_cache_dtype(impl.options.kv_cache, impl.options.weights));
  KvSequence sequence(pool);
  std::int32_t id = 0;
  const PrefillInput input[] = {{&sequence, prompt, audio.view()}};
  model.decoder().prefill(input, decoder, std::span(&id, 1));
  Answer answer;
  std::vector<float> logits(static_cast<std::size_t>(model.config().text.vocab));
  KvSequence* const sequences[] = {&sequence};
  for (;;) {
    backend.download(decoder.logits.view(), logits.data());
    const auto& ends = model.config().eos_token_ids;
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) return answer;
    answer.ids.push_back(id);
    answer.log_probs.push_back(log_softmax_at(logits, id));
    if (static_cast<int>(answer.ids.size()) == max_tokens) return answer;
    model.decoder().decode_step(sequences, std::span(&id, 1), decoder, std::span(&id, 1));
  }
}

inline std::vector<std::int32_t> ids_of(const Segment& segment) {
  std::vector<std::int32_t> ids;
  for (const Token& token : segment.tokens) ids.push_back(token.id);
  return ids;
}

}  // namespace qasr::test
