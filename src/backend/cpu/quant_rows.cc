#include "backend/cpu/quant_rows.h"

#include <algorithm>

namespace qasr::cpu {
namespace {

// Elements of a task: a few microseconds. Fewer in all are not worth waking anybody.
constexpr std::size_t kTaskElements = 32768;

}  // namespace

isa::RecordLayout record_layout(const Context& context, const PackedMatrix& matrix) {
  return {matrix.quant.n_blocks / matrix.n_segments, context.isa.quant_shape.activation_bytes};
}

bool takes_rounded_rows(const PackedMatrix& matrix) {
  return is_quantized(matrix.storage) && matrix.n_segments == 1 &&
         matrix.quant.n_blocks == ceil_div(matrix.depth, isa::kBlock);
}

void quantize_rows(const Context& context, const float* x, std::size_t n_rows, std::size_t depth,
                   const isa::RecordLayout& layout, std::byte* records) {
  const std::size_t step = std::max<std::size_t>(1, kTaskElements / std::max<std::size_t>(1, depth));
  context.pool.parallel_for(ceil_div(n_rows, step), [&](std::size_t task, int) {
    for (std::size_t row = task * step; row < std::min(n_rows, (task + 1) * step); ++row) {
      context.isa.quantize_row(x + row * depth, depth, 0, layout.n_blocks, layout, records + row * layout.bytes);
    }
  });
}

}  // namespace qasr::cpu
