// Everything the weight files of a checkpoint hold, under canonical names, whatever the container: safetensors or GGUF.
// The three tensors of an MLX-quantised matrix (X.weight, X.scales, X.biases) are one here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "weights/checkpoint_files.h"
#include "weights/safetensors.h"
#include "weights/tensor_names.h"

namespace qasr {

/// A tensor found in a file.
struct FoundTensor {
  StoredTensor stored;
  std::string file;  ///< name, without directory
  NameLayout layout = NameLayout::kBare;
  bool is_gguf = false;
  /// X.scales and X.biases of an MLX-quantised X.weight; no bytes and no dims otherwise.
  StoredTensor scales{}, biases{};
  bool is_affine() const { return !scales.name.empty(); }
};

struct StoredTensors {
  std::map<std::string, FoundTensor, std::less<>> tensors;  // by canonical name
  std::vector<const CheckpointFile*> files;
  int n_stored = 0;  ///< tensors in the files, ignored ones included
  bool is_gguf = false;
};

/// Reads headers only: those of the shards that model.safetensors.index.json names, else of all safetensors files, else
/// of all GGUF files.
/// @throws Error kModel  naming file and tensor: no weights, an unsupported format, broken headers, duplicates, a
/// tensor
///                       that is not where the index says, quantised integers without scales or the other way round
StoredTensors read_stored_tensors(const CheckpointFiles& files);

}  // namespace qasr
