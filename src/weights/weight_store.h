// All tensors of a checkpoint under canonical names, whatever the layout: the official names without the prefix
// "thinker." ("audio_tower.conv2d1.weight", "model.layers.0.self_attn.q_proj.weight", "lm_head.weight").
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tensor/host_tensor.h"
#include "weights/checkpoint_files.h"
#include "weights/model_config.h"

namespace qasr {

class WeightStore {
 public:
  /// Reads the headers of every shard, maps names, and checks names and shapes against the configuration:
  /// missing, unknown and duplicate tensors, wrong shapes and unsupported dtypes are errors that name tensor, file,
  /// found and expected. With tied embeddings lm_head.weight may be absent or present (then it is ignored).
  /// @throws Error kModel
  WeightStore(const CheckpointFiles& files, const ModelConfig& config);

  /// Borrowed from the checkpoint's memory. The name must exist (Error kInternal otherwise).
  const HostTensor& tensor(std::string_view name) const;
  bool contains(std::string_view name) const;
  std::span<const HostTensor> all() const { return tensors_; }
  int n_shards() const { return n_shards_; }

 private:
  std::vector<HostTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  int n_shards_ = 0;
};

/// The tensors a configuration needs, canonical names with shapes, in checkpoint order.
struct ExpectedTensor {
  std::string name;
  Shape shape;
};
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

}  // namespace qasr
