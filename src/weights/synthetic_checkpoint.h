// Whole synthetic checkpoints: in memory for tests, or as a directory like a published one.
#pragma once

#include <cstdint>
#include <filesystem>

#include "weights/checkpoint_files.h"
#include "weights/synthetic_models.h"
#include "weights/tensor_names.h"

namespace qasr {

struct SyntheticOptions {
  DType dtype = DType::kBf16;                                    ///< bf16, f16 or f32
  CheckpointLayout config_layout = CheckpointLayout::kOfficial;  ///< of config.json
  NameLayout names = NameLayout::kOfficial;                      ///< of the tensors
  int n_shards = 1;  ///< 1: model.safetensors; more: model-0000i-of-0000n.safetensors and an index
  std::uint32_t seed = 0;
  int n_threads = 0;                         ///< 0: all
  std::filesystem::path tokenizer_dir = {};  ///< its tokenizer files are copied into a directory; empty: none
};

/// config.json, generation_config.json, preprocessor_config.json and the weights, in memory.
/// @throws Error kInvalidArgument  dtype or number of shards
CheckpointFiles synthetic_checkpoint(const SyntheticModel& model, const SyntheticOptions& options = {});

/// The same as files of `directory`, which is made if it does not exist. Memory use does not grow with the model.
/// @throws Error kInvalidArgument  dtype, number of shards, no tokenizer in tokenizer_dir; kModel  a file cannot
/// be written
void write_synthetic_checkpoint(const std::filesystem::path& directory, const SyntheticModel& model,
                                const SyntheticOptions& options = {});

}  // namespace qasr
