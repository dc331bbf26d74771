#include "backend/cpu/packed_matrix.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "tensor/stored_blocks.h"
#include "tensor/widen.h"

namespace qasr::cpu {
namespace {

// Reads cannot fail any more after this, so workers may do them.
void check_readable(const HostTensor& tensor) {
  float nothing;
  widen_to_f32(tensor, {&nothing, 0});
  const std::size_t expected = encoded_bytes(tensor);
  QASR_CHECK_MSG(tensor.bytes.size() == expected, tensor.name + " has " + std::to_string(tensor.bytes.size()) +
                                                      " bytes, expected " + std::to_string(expected));
}

// Writes one packed column: `values` in depth order, to[k * NR].
void store_column(const float* values, std::size_t depth, std::size_t width, bool as_bf16, std::size_t slot,
                  std::byte* panel) {
  if (as_bf16) {
    auto* to = reinterpret_cast<std::uint16_t*>(panel) + slot;
    for (std::size_t k = 0; k < depth; ++k) to[k * width] = to_bf16(values[k]).bits;
  } else {
    auto* to = reinterpret_cast<float*>(panel) + slot;
    for (std::size_t k = 0; k < depth; ++k) to[k * width] = values[k];
  }
}

}  // namespace

isa::Panels PackedMatrix::slice(std::size_t begin, std::size_t count) const {
  isa::Panels part = panels;
  part.data = weights.data() + begin * panels.panel_stride * (panels.is_bf16 ? sizeof(std::uint16_t) : sizeof(float));
  part.n_panels = count;
  return part;
}

isa::QuantPanels PackedMatrix::quant_slice(std::size_t begin, std::size_t count) const {
  isa::QuantPanels part = quant;
  part.data += begin * quant.panel_bytes;
  part.n_panels = count;
  return part;
}

Storage storage_of(std::span<const HostTensor> tensors, WeightFormat format) {
  switch (format) {
    case WeightFormat::kAuto:
    case WeightFormat::kQ8:
      return Storage::kQ8;
    case WeightFormat::kQ4:
      return Storage::kQ4G64;
    case WeightFormat::kQ4G32:
      return Storage::kQ4G32;
    case WeightFormat::kBf16:
      return Storage::kBf16;
    case WeightFormat::kF32:
      return Storage::kF32;
    case WeightFormat::kFp8:
      throw Error(ErrorCode::kInvalidArgument, "cpu: weights in fp8 are for GPUs; expected q8, q4, q4g32, bf16 or f32");
    case WeightFormat::kStored:
      break;
  }
  const bool all_bf16 =
      std::all_of(tensors.begin(), tensors.end(), [](const HostTensor& t) { return t.dtype == DType::kBf16; });
  return all_bf16 ? Storage::kBf16 : Storage::kF32;
}

bool PackSource::holds(Storage storage) const {
  const std::optional<WeightFormat> held = stored_format(tensors);
  return held && !depth_order && n_segments == 1 && storage_of(tensors, *held) == storage;
}

void PackSource::read_column(std::size_t column, float* to, float* spare) const {
  const SourceRow from = source_row(column);
  if (from.tensor == nullptr) {
    std::fill_n(to, depth, 0.0f);
    return;
  }
  float* row = depth_order ? spare : to;
  widen_to_f32(*from.tensor, {row, depth}, from.row * static_cast<std::int64_t>(depth));
  if (!depth_order) return;
  for (std::size_t k = 0; k < depth; ++k) to[k] = row[depth_order(k)];
}

PackedMatrix pack_matrix(const Context& context, const PackSource& source, Storage storage) {
  for (const HostTensor& tensor : source.tensors) check_readable(tensor);
  if (is_quantized(storage)) return pack_quantized(context, source, storage);
  const bool as_bf16 = storage == Storage::kBf16;
  const std::size_t width = context.isa.panel_width, element = as_bf16 ? sizeof(std::uint16_t) : sizeof(float);
  const std::size_t depth = source.depth, panel_bytes = depth * width * element;
  PackedMatrix matrix;
  matrix.storage = storage;
  matrix.depth = depth;
  matrix.n_segments = source.n_segments;
  const auto pack_panel = [&](std::size_t panel, float* row, float* spare, std::byte* to) {
    for (std::size_t column = 0; column < width; ++column) {
      source.read_column(panel * width + column, row, spare);
      const std::size_t slot = as_bf16 ? isa::bf16_slot(column, context.isa.lanes) : column;
      store_column(row, depth, width, as_bf16, slot, to);
    }
  };
  matrix.weights = pack_panels(context, source, panel_bytes, pack_panel);
  matrix.panels = {matrix.weights.data(), as_bf16, source.n_panels, depth, depth * width};
  return matrix;
}

PackedBytes pack_panels(const Context& context, const PackSource& source, std::size_t panel_bytes,
                        const PackPanel& pack_panel) {
  return find_or_pack(context, source.tensors[0].name, source.n_panels * panel_bytes, [&](std::byte* to) {
    const std::size_t row_floats = ScratchPool::bytes_for<float>(source.depth) / sizeof(float);
    const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
    auto lease = context.scratch.lease(2 * n_threads * row_floats * sizeof(float));
    float* rows = lease.take<float>(2 * n_threads * row_floats);
    context.pool.parallel_for(source.n_panels, [&](std::size_t panel, int worker) {
      float* row = rows + 2 * static_cast<std::size_t>(worker) * row_floats;
      pack_panel(panel, row, row + row_floats, to + panel * panel_bytes);
    });
  });
}

void pack_bias(const Context& context, std::span<const HostTensor> biases, PackedMatrix& matrix) {
  if (biases.empty()) return;
  for (const HostTensor& bias : biases) check_readable(bias);
  const std::size_t columns = matrix.n_panels() * context.isa.panel_width;
  matrix.bias = find_or_pack(context, biases[0].name, columns * sizeof(float), [&](std::byte* bytes) {
    auto* to = reinterpret_cast<float*>(bytes);
    std::fill_n(to, columns, 0.0f);
    for (const HostTensor& bias : biases) {
      const auto size = static_cast<std::size_t>(bias.shape.elements());
      widen_to_f32(bias, {to, size});
      to += size;
    }
  });
}

void unpack_feature(const Context& context, const PackedMatrix& matrix, std::size_t feature, float* to) {
  if (is_quantized(matrix.storage)) return unpack_quantized_feature(context, matrix, feature, to);
  const std::size_t width = context.isa.panel_width, column = feature % width;
  const isa::Panels panel = matrix.slice(feature / width, 1);
  if (panel.is_bf16) {
    const auto* from = static_cast<const std::uint16_t*>(panel.data) + isa::bf16_slot(column, context.isa.lanes);
    for (std::size_t k = 0; k < panel.depth; ++k) to[k] = to_f32(bf16{from[k * width]});
  } else {
    const float* from = static_cast<const float*>(panel.data) + column;
    for (std::size_t k = 0; k < panel.depth; ++k) to[k] = from[k * width];
  }
}

}  // namespace qasr::cpu
