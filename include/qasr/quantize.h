// Smaller checkpoints: from any readable one to safetensors in MLX's layout, which qasr and MLX readers open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/export.h"

namespace qasr {

struct QuantizeOptions {
  int decoder_bits = 8;  ///< of the decoder layers' matrices: 4 or 8
  int encoder_bits = 8;  ///< of the encoder's matrices: 8, or 16 for bf16 (published MLX checkpoints leave it so)
  int group_size = 64;   ///< 32, 64 or 128. Embedding and head have 8 bits; convolutions, norms and biases stay bf16
  int n_threads = 0;     ///< 0: one per physical core
  std::function<void(std::string_view)> log{};  ///< receives progress, one line at a time; empty: silence
};

/// What became of one kind of tensor.
struct QuantizedClass {
  std::string name;    ///< "decoder attention", "encoder feed-forward", "embedding", ...
  std::string stored;  ///< "4-bit, groups of 64", "bf16"
  int n_tensors = 0;
  std::uint64_t bytes = 0;
  double relative_error = 0;  ///< norm of the difference over norm of the original, as re-read from the file
};

struct QuantizeReport {
  std::vector<QuantizedClass> classes;
  std::uint64_t source_bytes = 0, bytes = 0;  ///< weights
};

/// Writes `directory` (config.json, model.safetensors, generation settings, tokenizer) from a checkpoint. Tensors
/// stream through: memory does not grow with the model. The directory appears, complete and re-read, or not at all.
/// @param model  whatever Engine::open takes
/// @param directory  must not exist, or be empty
/// @throws Error kInvalidArgument (an option out of range, the directory is not empty), kModel (unreadable checkpoint,
/// a
///               file cannot be written, what was re-read is not what was meant)
QASR_API QuantizeReport quantize_checkpoint(const std::filesystem::path& model, const std::filesystem::path& directory,
                                            const QuantizeOptions& options = {});

}  // namespace qasr
