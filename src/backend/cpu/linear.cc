// y = activation(x W^T + bias), or added to y: the product of product.h with its epilogue on each tile.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/op_checks.h"

namespace qasr::cpu {

void CpuBackend::linear(ConstTensorView x, const LinearWeight& w, TensorView y, const LinearOptions& options) {
  check_linear(x, w, y);
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(w).matrix;
  const isa::KernelTable& isa = context_.isa;
  const auto n_rows = static_cast<std::size_t>(x.rows());
  const std::size_t n_features = matrix.n_features;
  float* out = y.as<float>();
  const ProductPlan plan = plan_product(context_, matrix, n_rows, 1, false);
  dense_product(context_, plan, x.as<float>(), n_rows, matrix, [&](const SumTile& tile) {
    const std::size_t column = tile.panel_begin * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels * isa.panel_width, n_features - column);
    const isa::Finish finish{matrix.bias_from(column), options.activation == Activation::kGelu, options.accumulate};
    isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, finish, out + tile.row_begin * n_features + column,
                      n_features);
  });
}

}  // namespace qasr::cpu
