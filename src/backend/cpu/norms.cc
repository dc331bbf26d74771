// LayerNorm and RMSNorm, rows in parallel.
#include "backend/cpu/cpu_backend.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

// Rows of a task: about 16,000 elements, a few microseconds.
std::size_t rows_per_task(std::size_t n_cols) {
  return std::max<std::size_t>(1, 16384 / std::max<std::size_t>(1, n_cols));
}

template <typename Row>
void for_rows(const Context& context, ConstTensorView x, const Row& row_function) {
  const auto n_rows = static_cast<std::size_t>(x.rows()), n_cols = static_cast<std::size_t>(x.cols());
  const std::size_t step = rows_per_task(n_cols);
  context.pool.parallel_for(ceil_div(n_rows, step), [&](std::size_t task, int) {
    for (std::size_t row = task * step; row < std::min(n_rows, (task + 1) * step); ++row) row_function(row, n_cols);
  });
}

}  // namespace

void CpuBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) {
  check_norm(x, weight, y);
  check_vector(bias, x.cols());
  const float *in = x.as<float>(), *w = weight.as<float>(), *b = bias.as<float>();
  float* out = y.as<float>();
  for_rows(context_, x,
           [&](std::size_t row, std::size_t n) { context_.isa.layer_norm(in + row * n, w, b, eps, n, out + row * n); });
}

void CpuBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
  check_norm(x, weight, y);
  const float *in = x.as<float>(), *w = weight.as<float>();
  float* out = y.as<float>();
  for_rows(context_, x,
           [&](std::size_t row, std::size_t n) { context_.isa.rms_norm(in + row * n, w, eps, n, out + row * n); });
}

}  // namespace qasr::cpu
