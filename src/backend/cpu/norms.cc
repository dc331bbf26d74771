// LayerNorm and RMSNorm, rows in parallel.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

// Rows of a task: about 16,000 elements, a few microseconds.
std::size_t rows_per_task(std::size_t n_cols) {
  return std::max<std::size_t>(1, 16384 / std::max<std::size_t>(1, n_cols));
}

// Calls norm(from, n, to) for every row; a row that is to be rounded takes its way through scratch.
template <typename Norm>
void for_rows(const Context& context, ConstTensorView x, TensorView y, const Norm& norm) {
  const auto n_rows = static_cast<std::size_t>(x.rows()), n_cols = static_cast<std::size_t>(x.cols());
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  const std::size_t step = rows_per_task(n_cols), scratch_row = round_up(n_cols, 16);
  const float* in = x.as<float>();
  const RowSink out(context, y);
  const std::size_t scratch_floats = out.is_rounded() ? n_threads * scratch_row : 0;
  auto lease = context.scratch.lease(ScratchPool::bytes_for<float>(scratch_floats));
  float* scratch = lease.take<float>(scratch_floats);
  context.pool.parallel_for(ceil_div(n_rows, step), [&](std::size_t task, int worker) {
    for (std::size_t row = task * step; row < std::min(n_rows, (task + 1) * step); ++row) {
      float* to = out.is_rounded() ? scratch + static_cast<std::size_t>(worker) * scratch_row : out.at(row, 0);
      norm(in + row * n_cols, n_cols, to);
      if (out.is_rounded()) out.round(row, 0, to, n_cols);
    }
  });
}

}  // namespace

void CpuBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) {
  check_norm(x, weight, unrounded(y));
  check_vector(bias, x.cols());
  const float *w = weight.as<float>(), *b = bias.as<float>();
  for_rows(context_, x, y, [&](const float* from, std::size_t n, float* to) {
    context_.isa.layer_norm(from, w, b, eps, n, to);
  });
}

void CpuBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
  check_norm(x, weight, unrounded(y));
  const float* w = weight.as<float>();
  for_rows(context_, x, y,
           [&](const float* from, std::size_t n, float* to) { context_.isa.rms_norm(from, w, eps, n, to); });
}

}  // namespace qasr::cpu
