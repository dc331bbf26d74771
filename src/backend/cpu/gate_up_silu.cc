// y = silu(x Wg^T) * (x Wu^T): panels of gate and up in turns, so a tile of sums holds both factors of its outputs.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {

void CpuBackend::gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) {
  check_gate_up(unrounded(x), gate_up, unrounded(y));
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(gate_up).matrix;
  const isa::KernelTable& isa = context_.isa;
  const std::size_t d_ff = matrix.n_features;
  const RowSink out(context_, y);
  const std::size_t pairs = out.is_rounded() ? panels_of_blocks(context_) : 1;
  const ProductPlan plan = plan_product(context_, matrix, static_cast<std::size_t>(x.rows()), 2 * pairs, false);
  dense_product(context_, plan, x, matrix, [&](const SumTile& tile) {
    const std::size_t column = tile.panel_begin / 2 * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels / 2 * isa.panel_width, d_ff - column);
    if (out.is_rounded()) {
      isa.finish_gate_up(tile.sums, tile.stride, tile.n_rows, columns, tile.sums, tile.stride);
      out.round_tile(tile, column, columns);
    } else {
      isa.finish_gate_up(tile.sums, tile.stride, tile.n_rows, columns, out.at(tile.row_begin, column), d_ff);
    }
  });
}

}  // namespace qasr::cpu
