// Affine groups of MLX: a row is a little-endian stream of `bits`-bit integers, least significant bits first, and every
// group of 32, 64 or 128 of them has a scale and a bias: w = scale * q + bias. Scales may be negative.
// Source: ml-explore/mlx (quantisation, mode "affine").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/host_tensor.h"
#include "tensor/quant_blocks.h"

namespace qasr {

inline constexpr std::size_t kMaxAffineGroup = 128;

/// Bytes of a row of `cols` integers; rows are whole 32-bit words. 0 if they would not be.
std::size_t packed_row_bytes(std::size_t cols, int bits);

/// Integers [begin, begin + out.size()) of a packed row. Any `bits` of 1 to 8.
void unpack_bits(std::span<const std::byte> row, int bits, std::size_t begin, std::span<std::uint8_t> out) noexcept;

/// Writes all integers of a row into packed_row_bytes(q.size(), bits) bytes.
void pack_bits(std::span<const std::uint8_t> q, int bits, std::byte* row) noexcept;

/// Scale and bias of group `group` of row `row` of an MLX-quantised matrix.
AffineScale stored_scale(const HostTensor& tensor, std::int64_t row, std::int64_t group) noexcept;

/// Elements [begin, begin + out.size()) of an MLX-quantised matrix, counted over all rows.
void decode_affine(const HostTensor& tensor, std::int64_t begin, std::span<float> out) noexcept;

/// Quantises one group to `bits` bits with scale and bias as bf16; q is chosen for the rounded ones. The end of the
/// range with the larger magnitude is exact up to that rounding.    q [w.size()]
/// @return scale and bias, exact bf16 values
AffineScale quantize_affine(std::span<const float> w, int bits, std::span<std::uint8_t> q);

}  // namespace qasr
