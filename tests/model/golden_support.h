// What the golden tests share: reading golden files, models made of a synthetic checkpoint, backends by name, and
// running the encoder and the decoder so that every result can be compared.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/audio_encoder.h"
#include "model/kv_cache.h"
#include "model/text_decoder.h"
#include "weights/checkpoint_files.h"
#include "weights/weight_store.h"

namespace qasr::testing {

// Norm of the difference over norm of the reference. Both sides compute in f32 with sums in different orders: each of
// up to 30 layers adds about 1e-6, real mistakes (a wrong position, padding or window) start at 1e-3.
inline constexpr double kEncoderTol = 1e-4;
inline constexpr double kLogitsTol = 1e-4;
// Weights and activations in bf16, 8 bits of mantissa: every operation adds a relative error of up to 2^-9.
inline constexpr double kBf16Tol = 2e-2;
// Both compute the log-mel in f32 from different FFTs; deep valleys of the spectrum differ most.
inline constexpr float kLogMelMaxAbs = 1e-4F;

std::filesystem::path source_path(const std::string& relative);
nlohmann::json read_json(const std::filesystem::path& path);

/// Arrays of a golden safetensors file.
class GoldenArrays {
 public:
  explicit GoldenArrays(const std::filesystem::path& path);
  bool contains(const std::string& name) const { return arrays_.contains(name); }
  /// Row-major values of an f32 array. @throws std::runtime_error  no such array
  const std::vector<float>& floats(const std::string& name) const;
  std::vector<std::int32_t> ints(const std::string& name) const;

 private:
  struct Array {
    std::vector<std::int64_t> dims;
    std::vector<float> floats;
    std::vector<std::int32_t> ints;
  };
  const Array& array(const std::string& name) const;
  std::map<std::string, Array> arrays_;
};

/// "reference", and the cpu backend's instruction sets, "generic" first.
std::vector<std::string> backend_names();
/// A name for GoogleTest, which takes no hyphens.
std::string test_name(std::string text);
/// Also "cuda". Null if this machine lacks the instruction set or the GPU.
std::unique_ptr<Backend> make_backend_by_name(const std::string& name);

double relative_error(std::span<const float> found, std::span<const float> expected);
/// Of all rows taken together.
double relative_error(const std::vector<std::vector<float>>& found, const std::vector<std::vector<float>>& expected);
/// The values of an f32 or bf16 tensor.
std::vector<float> download(Backend& backend, ConstTensorView view);
/// Rows of a [n, cols] matrix, one after the other.
std::vector<float> pick_rows(std::span<const float> matrix, std::int64_t cols, std::span<const std::int32_t> rows);

/// Encoder and decoder of a checkpoint, no tokenizer. f32 unless said otherwise.
struct BareModel {
  BareModel(const CheckpointFiles& files, Backend& backend, WeightFormat format = WeightFormat::kF32);
  ModelConfig config;
  WeightStore weights;
  AudioEncoder encoder;
  TextDecoder decoder;
};

/// "stem", "first_layer", "last_layer", "ln_post", "output" -> all rows.
using EncoderStages = std::map<std::string, std::vector<float>>;
EncoderStages encode_stages(Backend& backend, const AudioEncoder& encoder, const LogMelSpectrogram& features,
                            ShortClipPadding padding = ShortClipPadding::kOfficial);

/// One prompt for the decoder.
struct DecoderPrompt {
  std::vector<std::int32_t> ids;
  ConstTensorView audio;
};

/// Greedy ids of every prompt and the logits that the first and the last id were chosen from. All prompts run as one
/// batch; n_steps ids each, end tokens do not end a sequence.
struct DecoderRun {
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<std::vector<float>> first_logits, last_logits;
};
DecoderRun run_decoder(Backend& backend, const TextDecoder& decoder, std::span<const DecoderPrompt> prompts,
                       int n_steps);

/// What each of `tokens` is chosen from when the ones before it are fed, whatever the model would have chosen:
/// [tokens.size()][vocab].
std::vector<std::vector<float>> forced_logits(Backend& backend, const TextDecoder& decoder, const DecoderPrompt& prompt,
                                              std::span<const std::int32_t> tokens, DType kv_cache);

}  // namespace qasr::testing
