// Quantised storages of a packed matrix: quantises every row as it is read and scatters the integers into the layout of
// the instruction set (isa/quant_layout.h).
#include <algorithm>
#include <cstring>

#include "backend/cpu/isa_selection.h"
#include "backend/cpu/packed_matrix.h"
#include "tensor/quant_blocks.h"
#include "tensor/stored_blocks.h"

namespace qasr::cpu {
namespace {

using isa::QuantFormat;

QuantFormat quant_format(Storage storage) {
  return storage == Storage::kQ8 ? QuantFormat::kQ8
                                 : (storage == Storage::kQ4G64 ? QuantFormat::kQ4G64 : QuantFormat::kQ4G32);
}

// Where the numbers of one feature go inside a panel of width NR.
struct Column {
  std::size_t width, depth_group, index;
  bool offset_weights;

  Column(const isa::KernelTable& table, std::size_t index_)
      : width(table.panel_width),
        depth_group(table.quant_shape.depth_group),
        index(index_),
        offset_weights(table.quant_shape.offset_weights) {}
  /// Byte of the feature's first depth of `step` inside a block.
  std::size_t step_at(std::size_t step) const { return (step * width + index) * depth_group; }
};

void store_q8(const Q8Block& block, const Column& column, std::byte* group) {
  std::memcpy(group + column.index * sizeof(f16), &block.scale, sizeof(f16));
  std::byte* to = group + isa::group_header_bytes(QuantFormat::kQ8, column.width);
  const int offset = column.offset_weights ? 128 : 0;
  for (std::size_t k = 0; k < kQuantBlock; k += column.depth_group) {
    std::byte* step = to + column.step_at(k / column.depth_group);
    for (std::size_t i = 0; i < column.depth_group; ++i) step[i] = static_cast<std::byte>(block.q[k + i] + offset);
  }
}

void store_q4(const Q4Group& group, QuantFormat format, const Column& column, std::byte* to) {
  std::memcpy(to + column.index * sizeof(bf16), &group.scale, sizeof(bf16));
  std::memcpy(to + (column.width + column.index) * sizeof(bf16), &group.bias, sizeof(bf16));
  to += isa::group_header_bytes(format, column.width);
  constexpr std::size_t kHalf = kQuantBlock / 2;
  for (std::size_t block = 0; block < isa::blocks_per_group(format); ++block) {
    const std::uint8_t* q = group.q + block * kQuantBlock;
    for (std::size_t k = 0; k < kHalf; k += column.depth_group) {
      std::byte* step = to + column.step_at(k / column.depth_group);
      for (std::size_t i = 0; i < column.depth_group; ++i) {
        step[i] = static_cast<std::byte>(q[k + i] | q[k + i + kHalf] << 4);
      }
    }
    to += isa::block_bytes(format, column.width);
  }
}

// One row of a segment into one column of the panel's groups.
void store_segment(std::span<const float> row, QuantFormat format, const Column& column, std::byte* groups) {
  const std::size_t group_size = isa::blocks_per_group(format) * kQuantBlock;
  for (std::size_t begin = 0; begin < row.size(); begin += group_size) {
    const std::span<const float> values = row.subspan(begin, std::min(group_size, row.size() - begin));
    if (format == QuantFormat::kQ8) {
      store_q8(quantize_q8(values), column, groups);
    } else {
      store_q4(quantize_q4(values, group_size), format, column, groups);
    }
    groups += isa::group_bytes(format, column.width);
  }
}

// The same from a row whose stored integers are those of the format.
void store_held_row(const SourceRow& from, std::size_t depth, QuantFormat format, const Column& column,
                    std::byte* groups) {
  const std::size_t group_size = isa::blocks_per_group(format) * kQuantBlock;
  for (std::size_t group = 0; group < depth / group_size; ++group) {
    if (format == QuantFormat::kQ8) {
      store_q8(stored_q8(*from.tensor, from.row, group), column, groups);
    } else {
      store_q4(stored_q4(*from.tensor, from.row, group), format, column, groups);
    }
    groups += isa::group_bytes(format, column.width);
  }
}

}  // namespace

PackedMatrix pack_quantized(const Context& context, const PackSource& source, Storage storage) {
  const isa::KernelTable& isa = context.isa;
  const QuantFormat format = quant_format(storage);
  const std::size_t width = isa.panel_width, segment = source.depth / source.n_segments;
  const std::size_t groups = ceil_div(segment, isa::blocks_per_group(format) * kQuantBlock);
  const std::size_t segment_bytes = groups * isa::group_bytes(format, width);
  PackedMatrix matrix;
  matrix.storage = storage;
  matrix.depth = source.depth;
  matrix.n_segments = source.n_segments;
  const std::size_t panel_bytes = source.n_segments * segment_bytes;
  const bool is_held = source.holds(storage);
  const auto pack_panel = [&](std::size_t panel, float* row, float* spare, std::byte* to) {
    for (std::size_t index = 0; index < width; ++index) {
      const SourceRow from = source.source_row(panel * width + index);
      if (is_held && from.tensor != nullptr) {
        store_held_row(from, source.depth, format, Column(isa, index), to);
        continue;
      }
      source.read_column(panel * width + index, row, spare);
      for (std::size_t s = 0; s < source.n_segments; ++s) {
        store_segment({row + s * segment, segment}, format, Column(isa, index), to + s * segment_bytes);
      }
    }
  };
  matrix.weights = pack_panels(context, source, panel_bytes, pack_panel);
  matrix.quant = {matrix.weights.data(), format, source.n_panels,
                  source.n_segments * groups * isa::blocks_per_group(format), panel_bytes, stream_ahead_bytes()};
  return matrix;
}

namespace {

// The inverse of store_q4 along a feature of panel `panel`.
void unpack_q4_feature(const PackedMatrix& matrix, const Column& column, std::size_t panel, float* to) {
  const QuantFormat format = matrix.quant.format;
  const std::byte* group = matrix.quant.data + panel * matrix.quant.panel_bytes;
  constexpr std::size_t kHalf = kQuantBlock / 2;
  for (std::size_t begin = 0; begin < matrix.depth; group += isa::group_bytes(format, column.width)) {
    bf16 scale, bias;
    std::memcpy(&scale, group + column.index * sizeof(bf16), sizeof(bf16));
    std::memcpy(&bias, group + (column.width + column.index) * sizeof(bf16), sizeof(bf16));
    const std::byte* block = group + isa::group_header_bytes(format, column.width);
    for (std::size_t b = 0; b < isa::blocks_per_group(format); ++b, begin += kQuantBlock) {
      for (std::size_t k = 0; k < std::min(kQuantBlock, matrix.depth - std::min(begin, matrix.depth)); ++k) {
        const std::size_t at = k % kHalf;
        const auto byte =
            static_cast<unsigned>(block[column.step_at(at / column.depth_group) + at % column.depth_group]);
        const unsigned q = k < kHalf ? byte & 15 : byte >> 4;
        to[begin + k] = to_f32(scale) * static_cast<float>(q) + to_f32(bias);
      }
      block += isa::block_bytes(format, column.width);
    }
  }
}

}  // namespace

void unpack_quantized_feature(const Context& context, const PackedMatrix& matrix, std::size_t feature, float* to) {
  const Column column(context.isa, feature % context.isa.panel_width);
  QASR_CHECK(matrix.n_segments == 1);  // the embedding
  if (matrix.storage != Storage::kQ8) return unpack_q4_feature(matrix, column, feature / column.width, to);
  const std::byte* group = matrix.quant.data + feature / column.width * matrix.quant.panel_bytes;
  const int offset = column.offset_weights ? 128 : 0;
  for (std::size_t begin = 0; begin < matrix.depth; begin += kQuantBlock) {
    f16 scale;
    std::memcpy(&scale, group + column.index * sizeof(f16), sizeof(f16));
    const std::byte* block = group + isa::group_header_bytes(QuantFormat::kQ8, column.width);
    for (std::size_t k = 0; k < std::min(kQuantBlock, matrix.depth - begin); ++k) {
      const std::byte q = block[column.step_at(k / column.depth_group) + k % column.depth_group];
      const int value = column.offset_weights ? static_cast<int>(q) - offset : static_cast<std::int8_t>(q);
      to[begin + k] = to_f32(scale) * static_cast<float>(value);
    }
    group += isa::group_bytes(QuantFormat::kQ8, column.width);
  }
}

}  // namespace qasr::cpu
