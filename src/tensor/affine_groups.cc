#include "tensor/affine_groups.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/quant_blocks.h"

namespace qasr {
namespace {

float read_scale(std::span<const std::byte> values, DType dtype, std::size_t index) noexcept {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, values.data() + 4 * index, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, values.data() + 2 * index, sizeof bits);
  return dtype == DType::kBf16 ? to_f32(bf16{bits}) : to_f32(f16{bits});
}

}  // namespace

std::size_t packed_row_bytes(std::size_t cols, int bits) {
  const std::size_t row_bits = cols * static_cast<std::size_t>(bits);
  return row_bits % 32 == 0 ? row_bits / 8 : 0;
}

void unpack_bits(std::span<const std::byte> row, int bits, std::size_t begin, std::span<std::uint8_t> out) noexcept {
  if (bits == 8) {
    std::memcpy(out.data(), row.data() + begin, out.size());
    return;
  }
  const std::uint32_t mask = (1u << bits) - 1;
  std::size_t at = begin * static_cast<std::size_t>(bits);  // in bits
  for (std::uint8_t& value : out) {
    std::uint32_t window = std::to_integer<std::uint32_t>(row[at / 8]);  // a value touches two bytes at most
    if (at / 8 + 1 < row.size()) window |= std::to_integer<std::uint32_t>(row[at / 8 + 1]) << 8;
    value = static_cast<std::uint8_t>(window >> at % 8 & mask);
    at += static_cast<std::size_t>(bits);
  }
}

void pack_bits(std::span<const std::uint8_t> q, int bits, std::byte* row) noexcept {
  std::memset(row, 0, packed_row_bytes(q.size(), bits));
  std::size_t at = 0;  // in bits
  for (const std::uint8_t value : q) {
    const std::uint32_t shifted = static_cast<std::uint32_t>(value) << at % 8;
    row[at / 8] |= static_cast<std::byte>(shifted & 255);
    if (shifted > 255) row[at / 8 + 1] |= static_cast<std::byte>(shifted >> 8);
    at += static_cast<std::size_t>(bits);
  }
}

AffineScale stored_scale(const HostTensor& tensor, std::int64_t row, std::int64_t group) noexcept {
  const AffineParts& affine = tensor.affine;
  const auto index = static_cast<std::size_t>(row * (tensor.shape[1] / affine.group_size) + group);
  return {read_scale(affine.scales, affine.dtype, index), read_scale(affine.biases, affine.dtype, index)};
}

void decode_affine(const HostTensor& tensor, std::int64_t begin, std::span<float> out) noexcept {
  const AffineParts& affine = tensor.affine;
  const std::int64_t cols = tensor.shape[1];
  const std::size_t row_bytes = packed_row_bytes(static_cast<std::size_t>(cols), affine.bits);
  std::uint8_t q[kMaxAffineGroup];
  for (std::size_t done = 0; done < out.size();) {
    const std::int64_t at = begin + static_cast<std::int64_t>(done), row = at / cols, col = at % cols;
    const std::int64_t group = col / affine.group_size;
    const auto count = std::min(static_cast<std::size_t>((group + 1) * affine.group_size - col), out.size() - done);
    unpack_bits(tensor.bytes.subspan(static_cast<std::size_t>(row) * row_bytes, row_bytes), affine.bits,
                static_cast<std::size_t>(col), {q, count});
    const AffineScale scale = stored_scale(tensor, row, group);
    for (std::size_t i = 0; i < count; ++i) out[done + i] = scale.scale * static_cast<float>(q[i]) + scale.bias;
    done += count;
  }
}

AffineScale quantize_affine(std::span<const float> w, int bits, std::span<std::uint8_t> q) {
  const auto [low, high] = std::minmax_element(w.begin(), w.end());
  const auto max_q = static_cast<float>((1 << bits) - 1);
  const AffineScale exact = affine_scale(*low, *high, max_q);
  AffineScale stored{to_f32(to_bf16(exact.scale)), to_f32(to_bf16(exact.bias))};
  // A scale rounded towards zero could leave the far end more than half a step outside: 255 steps of 2^-9 too few.
  const float reach = std::max(std::fabs(*low - stored.bias), std::fabs(*high - stored.bias));
  if (reach > (max_q + 0.5f) * std::fabs(stored.scale)) {
    stored.scale = to_f32(bf16{static_cast<std::uint16_t>(to_bf16(stored.scale).bits + 1)});  // away from zero
  }
  for (std::size_t i = 0; i < w.size(); ++i) {
    const float level = std::nearbyint((w[i] - stored.bias) / stored.scale);
    q[i] = static_cast<std::uint8_t>(std::min(max_q, std::max(0.0f, level)));
  }
  return stored;
}

}  // namespace qasr
