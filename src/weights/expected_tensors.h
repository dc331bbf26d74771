// The tensors a configuration needs: names, shapes, parameter counts. The one list that loading, describing and
// generating checkpoints share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor_view.h"
#include "weights/model_config.h"

namespace qasr {

struct ExpectedTensor {
  std::string name;  ///< canonical: "model.layers.0.self_attn.q_proj.weight"
  Shape shape;
  bool optional = false;  ///< only the tied head: published checkpoints store it, a copy of the embedding
};

/// Canonical names with shapes, in checkpoint order: encoder, decoder, head.
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

struct ParameterCounts {
  std::uint64_t encoder = 0;
  std::uint64_t decoder = 0;  ///< without the embedding
  std::uint64_t embedding = 0;
  std::uint64_t head = 0;  ///< 0 where the head is the embedding
  std::uint64_t total() const { return encoder + decoder + embedding + head; }
};
ParameterCounts count_parameters(const ModelConfig& config);

/// Length after `n_convs` convolutions of kernel 3, stride 2, padding 1: ceil(length / 2) each.
constexpr std::int64_t halved(std::int64_t length, int n_convs) {
  for (int conv = 0; conv < n_convs; ++conv) length = (length + 1) / 2;
  return length;
}

}  // namespace qasr
