#include "tensor/host_tensor.h"

#include "tensor/affine_groups.h"
#include "tensor/ggml_blocks.h"

namespace qasr {

std::size_t encoded_bytes(const HostTensor& tensor) {
  const auto elements = static_cast<std::size_t>(tensor.shape.elements());
  if (tensor.encoding == Encoding::kPlain) return elements * dtype_bytes(tensor.dtype);
  if (tensor.shape.rank() != 2) return 0;
  const auto cols = static_cast<std::size_t>(tensor.shape[1]), rows = static_cast<std::size_t>(tensor.shape[0]);
  if (tensor.encoding == Encoding::kMlxAffine) return rows * packed_row_bytes(cols, tensor.affine.bits);
  const GgmlBlock block = ggml_block(tensor.encoding);
  return cols % block.elements == 0 ? elements / block.elements * block.bytes : 0;
}

std::size_t stored_bytes(const HostTensor& tensor) {
  return tensor.bytes.size() + tensor.affine.scales.size() + tensor.affine.biases.size();
}

std::string encoding_name(const HostTensor& tensor) {
  if (tensor.encoding == Encoding::kPlain) return std::string(dtype_name(tensor.dtype));
  if (tensor.encoding != Encoding::kMlxAffine) return std::string(ggml_block(tensor.encoding).name);
  return "mlx " + std::to_string(tensor.affine.bits) + "-bit, groups of " + std::to_string(tensor.affine.group_size);
}

}  // namespace qasr
