// HostTensor: a named tensor as a checkpoint holds it, borrowed from a memory-mapped file. This is what `weights`
// hands to a backend, which packs it into its own format.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace qasr {

struct HostTensor {
  std::string name;  ///< canonical name, for messages: "model.layers.3.mlp.gate_proj.weight"
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> bytes;  ///< row-major, little-endian, not necessarily aligned
};

}  // namespace qasr
