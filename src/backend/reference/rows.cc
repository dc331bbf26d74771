// Operations that move rows: gather, scatter, embedding look-up.
#include <cstring>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"

namespace qasr::reference {

void ReferenceBackend::gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                                       std::span<const std::int32_t> table_rows, TensorView y) {
  check_gather_rows_add(x, x_rows, table, table_rows, y);
  const std::int64_t dim = x.cols();
  for (std::size_t row = 0; row < x_rows.size(); ++row) {
    const float* a = x.as<float>() + x_rows[row] * dim;
    const float* b = table.as<float>() + table_rows[row] * dim;
    float* out = y.as<float>() + static_cast<std::int64_t>(row) * dim;
    for (std::int64_t i = 0; i < dim; ++i) out[i] = a[i] + b[i];
  }
}

void ReferenceBackend::embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) {
  check_embed(table, ids, y);
  const auto& rows = static_cast<const Linear&>(table);
  const std::size_t row_bytes = static_cast<std::size_t>(y.cols()) * sizeof(float);
  for (std::size_t row = 0; row < ids.size(); ++row) {
    std::memcpy(y.as<float>() + static_cast<std::int64_t>(row) * y.cols(), rows.row(ids[row]), row_bytes);
  }
}

void ReferenceBackend::scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) {
  check_scatter_rows(x, y_rows, y);
  const std::size_t row_bytes = static_cast<std::size_t>(y.cols()) * sizeof(float);
  for (std::size_t row = 0; row < y_rows.size(); ++row) {
    std::memcpy(y.as<float>() + y_rows[row] * y.cols(), x.as<float>() + static_cast<std::int64_t>(row) * y.cols(),
                row_bytes);
  }
}

void ReferenceBackend::gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) {
  check_gather_rows(x, x_rows, y);
  const std::size_t row_bytes = static_cast<std::size_t>(y.cols()) * sizeof(float);
  for (std::size_t row = 0; row < x_rows.size(); ++row) {
    std::memcpy(y.as<float>() + static_cast<std::int64_t>(row) * y.cols(), x.as<float>() + x_rows[row] * y.cols(),
                row_bytes);
  }
}

}  // namespace qasr::reference
