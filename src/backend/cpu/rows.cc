// Rows moved about: gather, scatter, gather and add, embedding. Limited by memory; one pass, no threads: the largest
// calls, a prefill's few hundred rows, take tens of microseconds.
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

void copy_row(const float* from, std::int64_t n, float* to) {
  if (n > 0) std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

}  // namespace

void CpuBackend::gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                                 std::span<const std::int32_t> table_rows, TensorView y) {
  check_gather_rows_add(x, x_rows, table, table_rows, y);
  const std::int64_t dim = x.cols();
  float* to = y.as<float>();
  for (std::size_t row = 0; row < x_rows.size(); ++row, to += dim) {
    context_.isa.add(x.as<float>() + x_rows[row] * dim, table.as<float>() + table_rows[row] * dim,
                     static_cast<std::size_t>(dim), to);
  }
}

void CpuBackend::gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) {
  check_gather_rows(x, x_rows, y);
  const std::int64_t dim = x.cols();
  float* to = y.as<float>();
  for (std::size_t row = 0; row < x_rows.size(); ++row, to += dim) {
    copy_row(x.as<float>() + x_rows[row] * dim, dim, to);
  }
}

void CpuBackend::scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) {
  check_scatter_rows(x, y_rows, y);
  const std::int64_t dim = x.cols();
  const float* from = x.as<float>();
  for (std::size_t row = 0; row < y_rows.size(); ++row, from += dim) {
    copy_row(from, dim, y.as<float>() + y_rows[row] * dim);
  }
}

void CpuBackend::embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) {
  check_embed(table, ids, y);
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(table).matrix;
  float* to = y.as<float>();
  for (std::size_t row = 0; row < ids.size(); ++row, to += table.in_features()) {
    unpack_feature(context_, matrix, static_cast<std::size_t>(ids[row]), to);
  }
}

}  // namespace qasr::cpu
