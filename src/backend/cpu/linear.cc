// y = activation(x W^T + bias), or added to y: the product of product.h with its epilogue on each tile.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {

void CpuBackend::linear(ConstTensorView x, const LinearWeight& w, TensorView y, const LinearOptions& options) {
  check_linear(unrounded(x), w, unrounded(y));
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(w).matrix;
  const isa::KernelTable& isa = context_.isa;
  const std::size_t n_features = matrix.n_features;
  const RowSink out(context_, y);
  QASR_CHECK(!out.is_rounded() || !options.accumulate);
  const std::size_t panel_multiple = out.is_rounded() ? panels_of_blocks(context_) : 1;
  const ProductPlan plan =
      plan_product(context_, matrix, static_cast<std::size_t>(x.rows()), panel_multiple, false);
  dense_product(context_, plan, x, matrix, [&](const SumTile& tile) {
    const std::size_t column = tile.panel_begin * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels * isa.panel_width, n_features - column);
    const isa::Finish finish{matrix.bias_from(column), options.activation == Activation::kGelu, options.accumulate};
    if (out.is_rounded()) {
      isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, finish, tile.sums, tile.stride);
      out.round_tile(tile, column, columns);
    } else {
      isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, finish, out.at(tile.row_begin, column),
                        n_features);
    }
  });
}

}  // namespace qasr::cpu
