// RowSink: where an operation's rows go: to memory as f32, or, rounded to 8-bit blocks, to the records that a quantised
// product takes (isa/quant_layout.h). Rounding while the values are in cache saves a pass over memory; the bits are the
// same.
#pragma once

#include "backend/cpu/context.h"
#include "backend/cpu/product.h"
#include "backend/cpu/quant_rows.h"
#include "tensor/tensor_view.h"

namespace qasr::cpu {

/// Records of rows of `n_columns` elements that one product takes whole.
inline isa::RecordLayout row_layout(const Context& context, std::size_t n_columns) {
  return {ceil_div(n_columns, isa::kBlock), context.isa.quant_shape.activation_bytes};
}

class RowSink {
 public:
  /// @param y  [rows, columns] f32 or kQ8Rows
  RowSink(const Context& context, TensorView y)
      : isa_(context.isa),
        data_(static_cast<std::byte*>(y.data)),
        n_columns_(static_cast<std::size_t>(y.cols())),
        is_rounded_(y.dtype == DType::kQ8Rows),
        layout_(row_layout(context, n_columns_)) {}

  bool is_rounded() const { return is_rounded_; }

  /// The memory of f32 rows.
  float* at(std::size_t row, std::size_t column) const {
    return reinterpret_cast<float*>(data_) + row * n_columns_ + column;
  }

  /// Values [n] of a row from `column` on; what rounded rows take, see round().
  void put(std::size_t row, std::size_t column, const float* values, std::size_t n) const noexcept {
    if (is_rounded_) return round(row, column, values, n);
    std::copy_n(values, n, at(row, column));
  }

  /// Rounds a tile of finished values.    columns  valid ones, the first of which is column `column` of the output
  void round_tile(const SumTile& tile, std::size_t column, std::size_t columns) const noexcept {
    for (std::size_t row = 0; row < tile.n_rows; ++row) {
      round(tile.row_begin + row, column, tile.sums + row * tile.stride, columns);
    }
  }

  /// Rounds values [n] of a row from `column` on: whole blocks, or up to the row's end.
  void round(std::size_t row, std::size_t column, const float* values, std::size_t n) const noexcept {
    const std::size_t block = column / isa::kBlock;
    const std::size_t end = column + n == n_columns_ ? layout_.n_blocks : block + n / isa::kBlock;
    isa_.quantize_row(values, n, block, end - block, layout_, data_ + row * layout_.bytes);
  }

 private:
  const isa::KernelTable& isa_;
  std::byte* data_;
  std::size_t n_columns_;
  bool is_rounded_;
  isa::RecordLayout layout_;
};

/// Rows that are written a head at a time: where heads are no whole blocks, rounded rows go through f32 in scratch.
class HeadRows {
 public:
  HeadRows(const Context& context, TensorView y, std::size_t head_dim)
      : context_(context),
        y_(y),
        is_staged_(y.dtype == DType::kQ8Rows && head_dim % isa::kBlock != 0),
        lease_(context.scratch.lease(is_staged_ ? static_cast<std::size_t>(y.shape.elements()) * sizeof(float) : 0)),
        staged_(lease_.take<float>(0), DType::kF32, y.shape),
        sink_(context, is_staged_ ? staged_ : y) {}

  const RowSink& sink() const { return sink_; }

  /// All heads are written.
  void finish() const {
    if (!is_staged_) return;
    const auto n_columns = static_cast<std::size_t>(y_.cols());
    quantize_rows(context_, staged_.as<float>(), static_cast<std::size_t>(y_.rows()), n_columns,
                  row_layout(context_, n_columns), static_cast<std::byte*>(y_.data));
  }

 private:
  const Context& context_;
  TensorView y_;
  bool is_staged_;
  ScratchPool::Lease lease_;
  TensorView staged_;
  RowSink sink_;
};

/// For shape checks, which know f32 only.
template <bool kConst>
BasicTensorView<kConst> unrounded(BasicTensorView<kConst> view) {
  if (view.dtype == DType::kQ8Rows) view.dtype = DType::kF32;
  return view;
}

}  // namespace qasr::cpu
