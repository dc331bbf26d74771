#include "backend/cpu/packed_matrix.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "tensor/widen.h"

namespace qasr::cpu {
namespace {

// Reads cannot fail any more after this, so workers may do them.
void check_readable(const HostTensor& tensor) {
  float nothing;
  widen_to_f32(tensor, {&nothing, 0});
  const std::size_t expected = static_cast<std::size_t>(tensor.shape.elements()) * dtype_bytes(tensor.dtype);
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

bool stores_bf16(std::span<const HostTensor> tensors, WeightFormat format) {
  if (format != WeightFormat::kAuto) return format == WeightFormat::kBf16;
  return std::all_of(tensors.begin(), tensors.end(), [](const HostTensor& t) { return t.dtype == DType::kBf16; });
}

PackedMatrix pack_matrix(const Context& context, std::span<const HostTensor> tensors, std::size_t depth,
                         std::size_t n_panels, bool as_bf16, const std::function<SourceRow(std::size_t)>& source_row,
                         const std::function<std::size_t(std::size_t)>& depth_order) {
  for (const HostTensor& tensor : tensors) check_readable(tensor);
  const std::size_t width = context.isa.panel_width, element = as_bf16 ? sizeof(std::uint16_t) : sizeof(float);
  PackedMatrix matrix;
  matrix.weights = AlignedBuffer(n_panels * depth * width * element);
  matrix.panels = {matrix.weights.data(), as_bf16, n_panels, depth, depth * width};
  const std::size_t row_bytes = ScratchPool::bytes_for<float>(depth);
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  auto lease = context.scratch.lease(2 * n_threads * row_bytes);
  float* rows = lease.take<float>(2 * n_threads * row_bytes / sizeof(float));
  context.pool.parallel_for(n_panels, [&](std::size_t panel, int worker) {
    float* source = rows + 2 * static_cast<std::size_t>(worker) * row_bytes / sizeof(float);
    float* ordered = source + row_bytes / sizeof(float);
    for (std::size_t column = 0; column < width; ++column) {
      const SourceRow from = source_row(panel * width + column);
      if (from.tensor == nullptr) {
        std::fill_n(source, depth, 0.0f);
      } else {
        widen_to_f32(*from.tensor, {source, depth}, from.row * static_cast<std::int64_t>(depth));
      }
      if (depth_order) {
        for (std::size_t k = 0; k < depth; ++k) ordered[k] = source[depth_order(k)];
      }
      const std::size_t slot = as_bf16 ? isa::bf16_slot(column, context.isa.lanes) : column;
      store_column(depth_order ? ordered : source, depth, width, as_bf16, slot,
                   matrix.weights.data() + panel * depth * width * element);
    }
  });
  return matrix;
}

void pack_bias(const Context& context, std::span<const HostTensor> biases, PackedMatrix& matrix) {
  if (biases.empty()) return;
  const std::size_t columns = matrix.panels.n_panels * context.isa.panel_width;
  matrix.bias = AlignedBuffer(columns * sizeof(float));
  auto* to = reinterpret_cast<float*>(matrix.bias.data());
  std::fill_n(to, columns, 0.0f);
  for (const HostTensor& bias : biases) {
    check_readable(bias);
    const auto size = static_cast<std::size_t>(bias.shape.elements());
    widen_to_f32(bias, {to, size});
    to += size;
  }
}

void unpack_feature(const Context& context, const PackedMatrix& matrix, std::size_t feature, float* to) {
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
