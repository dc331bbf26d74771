// Where quantised weights and activations lie in memory: shared by packers, operations and the kernels of every
// instruction set (tensor/quant_blocks.h says what the numbers mean).
//
// Weights. A panel holds NR output features. Along the depth it is a chain of groups of one or two blocks of 32:
//
//   q8      [scale f16 x NR]                     then one block of 32 * NR bytes
//   q4      [scale bf16 x NR][bias bf16 x NR]    then one (group of 32) or two (64) blocks of 16 * NR bytes
//
// Inside a block the bytes follow the instruction set's dot product, which takes G neighbouring depths of a feature per
// lane: [32 / G steps][NR / lanes vectors][lanes][G]. In q4 the byte of step s holds step s in its low half and step
// s + 16 / G in its high half. With `offset_weights` q8 bytes are q + 128, unsigned.
//
// Activations. A record is one row, or the channels of one image position:
//
//   [q: n_blocks * 32 elements of `activation_bytes`][scale f32 x n_blocks][sum f32 x n_blocks][correction i32 x
//   n_blocks]
//
// sum is scale * (sum of q), what a bias multiplies; correction is -128 * (sum of q), what takes the offset out again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qasr::cpu::isa {

inline constexpr std::size_t kBlock = 32;

enum class QuantFormat : std::uint8_t { kQ8, kQ4G32, kQ4G64 };

constexpr std::size_t blocks_per_group(QuantFormat format) { return format == QuantFormat::kQ4G64 ? 2 : 1; }

/// What of the layout depends on the instruction set.
struct QuantShape {
  std::size_t depth_group;       ///< G
  std::size_t activation_bytes;  ///< of one quantised activation
  bool offset_weights;           ///< q8 bytes are q + 128
};

/// Panels [n_panels] of quantised weights.
struct QuantPanels {
  const std::byte* data = nullptr;
  QuantFormat format = QuantFormat::kQ8;
  std::size_t n_panels = 0;
  std::size_t n_blocks = 0;     ///< of 32 along the depth, padding included; a multiple of blocks_per_group
  std::size_t panel_bytes = 0;  ///< from one panel to the next
  std::size_t ahead_bytes = 0;  ///< how far ahead weights that stream from memory are asked for; 0: not at all
};

constexpr std::size_t group_header_bytes(QuantFormat format, std::size_t panel_width) {
  return panel_width * (format == QuantFormat::kQ8 ? 2 : 4);
}
constexpr std::size_t block_bytes(QuantFormat format, std::size_t panel_width) {
  return panel_width * (format == QuantFormat::kQ8 ? kBlock : kBlock / 2);
}
constexpr std::size_t group_bytes(QuantFormat format, std::size_t panel_width) {
  return group_header_bytes(format, panel_width) + blocks_per_group(format) * block_bytes(format, panel_width);
}

struct RecordLayout {
  std::size_t n_blocks = 0, scale_offset = 0, sum_offset = 0, correction_offset = 0, bytes = 0;

  RecordLayout() = default;
  constexpr RecordLayout(std::size_t blocks, std::size_t activation_bytes)
      : n_blocks(blocks),
        scale_offset(blocks * kBlock * activation_bytes),
        sum_offset(scale_offset + blocks * sizeof(float)),
        correction_offset(sum_offset + blocks * sizeof(float)),
        bytes((correction_offset + blocks * sizeof(std::int32_t) + 63) / 64 * 64) {}
};

/// The left factor of a quantised product: row r is the concatenation of n_segments records of equal layout. A dense
/// matrix has one record per row; a convolution one per tap, wherever the image has it.
struct QuantRows {
  const std::byte* const* records = nullptr;  ///< [n_rows * n_segments]
  std::size_t n_rows = 0, n_segments = 0;
  RecordLayout layout;
};

}  // namespace qasr::cpu::isa
