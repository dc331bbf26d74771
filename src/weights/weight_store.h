// All tensors of a checkpoint under canonical names, whatever the layout: the official names without the prefix
// "thinker." ("audio_tower.conv2d1.weight", "model.layers.0.self_attn.q_proj.weight", "lm_head.weight").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tensor/host_tensor.h"
#include "weights/checkpoint_files.h"
#include "weights/expected_tensors.h"
#include "weights/model_config.h"
#include "weights/tensor_names.h"

namespace qasr {

class WeightStore {
 public:
  /// Reads the headers of every weight file (weights/stored_tensors.h), maps names, and checks names and shapes against
  /// the configuration: missing, unknown and duplicate tensors, tensors that are not in the shard the index names,
  /// wrong shapes and unsupported dtypes are errors that name tensor, file, found and expected. With tied embeddings
  /// lm_head.weight may be absent or present (then its shape is checked and it is ignored). No byte of a tensor is
  /// read.
  /// @throws Error kModel
  WeightStore(const CheckpointFiles& files, const ModelConfig& config);

  /// Borrowed from the checkpoint's memory. The name must exist (Error kInternal otherwise).
  const HostTensor& tensor(std::string_view name) const;
  bool contains(std::string_view name) const;
  /// In checkpoint order: encoder, decoder, head.
  std::span<const HostTensor> all() const { return tensors_; }
  int n_shards() const { return n_shards_; }
  std::uint64_t shard_bytes() const { return shard_bytes_; }
  /// Tensors in the files, an ignored tied head included.
  int n_stored() const { return n_stored_; }
  NameLayout name_layout() const { return name_layout_; }
  bool is_gguf() const { return is_gguf_; }

 private:
  std::vector<HostTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  int n_shards_ = 0, n_stored_ = 0;
  std::uint64_t shard_bytes_ = 0;
  NameLayout name_layout_ = NameLayout::kBare;
  bool is_gguf_ = false;
};

}  // namespace qasr
