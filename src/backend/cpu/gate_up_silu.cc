// y = silu(x Wg^T) * (x Wu^T): panels of gate and up in turns, so a tile of sums holds both factors of its outputs.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/op_checks.h"

namespace qasr::cpu {

void CpuBackend::gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) {
  check_gate_up(x, gate_up, y);
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(gate_up).matrix;
  const isa::KernelTable& isa = context_.isa;
  const auto n_rows = static_cast<std::size_t>(x.rows());
  const std::size_t d_ff = matrix.n_features;
  float* out = y.as<float>();
  const ProductPlan plan = plan_product(context_, matrix, n_rows, 2, false);
  dense_product(context_, plan, x.as<float>(), n_rows, matrix, [&](const SumTile& tile) {
    const std::size_t column = tile.panel_begin / 2 * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels / 2 * isa.panel_width, d_ff - column);
    isa.finish_gate_up(tile.sums, tile.stride, tile.n_rows, columns, out + tile.row_begin * d_ff + column, d_ff);
  });
}

}  // namespace qasr::cpu
