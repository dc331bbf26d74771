#include "tensor/stored_blocks.h"

#include <algorithm>
#include <cstring>

#include "tensor/affine_groups.h"
#include "tensor/ggml_blocks.h"

namespace qasr {
namespace {

std::optional<WeightFormat> format_of(const HostTensor& tensor) {
  if (tensor.encoding == Encoding::kQ8_0) return WeightFormat::kQ8;
  const AffineParts& affine = tensor.affine;
  if (tensor.encoding != Encoding::kMlxAffine || affine.bits != 4 || affine.dtype != DType::kBf16) return {};
  if (affine.group_size == 64) return WeightFormat::kQ4;
  if (affine.group_size == 32) return WeightFormat::kQ4G32;
  return {};
}

}  // namespace

std::optional<WeightFormat> stored_format(std::span<const HostTensor> tensors) {
  if (tensors.empty()) return {};
  const std::optional<WeightFormat> first = format_of(tensors[0]);
  const bool same = std::all_of(tensors.begin(), tensors.end(), [&](const auto& t) { return format_of(t) == first; });
  return same ? first : std::nullopt;
}

Q8Block stored_q8(const HostTensor& tensor, std::int64_t row, std::size_t block) {
  const std::size_t block_bytes = ggml_block(Encoding::kQ8_0).bytes;
  const auto blocks_per_row = static_cast<std::size_t>(tensor.shape[1]) / kQuantBlock;
  const std::byte* from = tensor.bytes.data() + (static_cast<std::size_t>(row) * blocks_per_row + block) * block_bytes;
  Q8Block result;
  std::memcpy(&result.scale, from, sizeof result.scale);
  std::memcpy(result.q, from + sizeof result.scale, sizeof result.q);
  if (std::find(std::begin(result.q), std::end(result.q), INT8_MIN) == std::end(result.q)) return result;
  float values[kQuantBlock];
  decode_ggml_block(Encoding::kQ8_0, from, values);
  return quantize_q8(values);
}

Q4Group stored_q4(const HostTensor& tensor, std::int64_t row, std::size_t group) {
  const AffineParts& affine = tensor.affine;
  const auto size = static_cast<std::size_t>(affine.group_size), cols = static_cast<std::size_t>(tensor.shape[1]);
  Q4Group result{};
  const std::size_t at = (static_cast<std::size_t>(row) * (cols / size) + group) * sizeof(bf16);
  std::memcpy(&result.scale, affine.scales.data() + at, sizeof(bf16));
  std::memcpy(&result.bias, affine.biases.data() + at, sizeof(bf16));
  const std::size_t row_bytes = packed_row_bytes(cols, affine.bits);
  unpack_bits(tensor.bytes.subspan(static_cast<std::size_t>(row) * row_bytes, row_bytes), affine.bits, group * size,
              {result.q, size});
  return result;
}

}  // namespace qasr
