// TensorView: a typed, shaped, borrowed region of one backend's memory. Only the backend that made the memory may
// dereference it. Always contiguous, row-major.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "base/check.h"
#include "tensor/dtype.h"

namespace qasr {

/// Up to four dimensions.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) {
    QASR_CHECK(dims.size() <= 4);
    for (std::int64_t dim : dims) dims_[static_cast<std::size_t>(rank_++)] = dim;
  }
  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t elements() const {
    std::int64_t product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= (*this)[axis];
    return product;
  }
  bool operator==(const Shape&) const = default;
  /// "[2048, 1024]"
  std::string to_string() const {
    std::string text = "[";
    for (int axis = 0; axis < rank_; ++axis) text += (axis ? ", " : "") + std::to_string((*this)[axis]);
    return text + "]";
  }

 private:
  std::array<std::int64_t, 4> dims_{};
  int rank_ = 0;
};

/// Memory that a contiguous tensor needs.
inline std::size_t tensor_bytes(DType dtype, const Shape& shape) {
  constexpr std::int64_t kQ8Block = 32;
  std::int64_t n_elements = shape.elements();
  if (dtype == DType::kQ8Rows) n_elements = shape[0] * ((shape[1] + kQ8Block - 1) / kQ8Block * kQ8Block);
  return static_cast<std::size_t>(n_elements) * dtype_bytes(dtype);
}

template <bool kConst>
struct BasicTensorView {
  using Void = std::conditional_t<kConst, const void, void>;

  Void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;

  BasicTensorView() = default;
  BasicTensorView(Void* data_, DType dtype_, Shape shape_) : data(data_), dtype(dtype_), shape(shape_) {}
  // A mutable view is also a const one.
  operator BasicTensorView<true>() const { return {data, dtype, shape}; }  // NOLINT(google-explicit-constructor)

  std::int64_t rows() const { return shape[0]; }
  std::int64_t cols() const { return shape[1]; }
  std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * dtype_bytes(dtype); }

  /// Rows [begin, begin + count) of axis 0.
  BasicTensorView slice_rows(std::int64_t begin, std::int64_t count) const {
    QASR_CHECK(shape.rank() == 2 && begin >= 0 && count >= 0 && begin + count <= shape[0]);
    QASR_CHECK(dtype != DType::kQ8Rows || begin == 0);
    using Byte = std::conditional_t<kConst, const char, char>;
    const std::size_t row_bytes = static_cast<std::size_t>(shape[1]) * dtype_bytes(dtype);
    return {static_cast<Byte*>(data) + static_cast<std::size_t>(begin) * row_bytes, dtype, {count, shape[1]}};
  }
  /// The elements as T; only host backends may use it.
  template <typename T>
  auto as() const {
    using Element = std::conditional_t<kConst, const T, T>;
    QASR_CHECK(sizeof(T) == dtype_bytes(dtype));
    return static_cast<Element*>(data);
  }
};

using TensorView = BasicTensorView<false>;
using ConstTensorView = BasicTensorView<true>;

}  // namespace qasr
