// DeviceTensor: a matrix or vector that owns its memory on a backend and is reused from call to call.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "tensor/widen.h"

namespace qasr {

class DeviceTensor {
 public:
  DeviceTensor() = default;

  /// Gives the tensor this shape. Memory grows when needed and never shrinks; contents are undefined afterwards.
  TensorView resize(Backend& backend, const Shape& shape, DType dtype = DType::kF32) {
    const std::size_t bytes = tensor_bytes(dtype, shape);
    if (buffer_ == nullptr || buffer_->bytes() < bytes) {
      buffer_.reset();  // first, so that old and new memory never exist side by side
      buffer_ = backend.allocate(bytes);
    }
    view_ = {buffer_->data(), dtype, shape};
    return view_;
  }

  const TensorView& view() const { return view_; }

 private:
  std::unique_ptr<Buffer> buffer_;
  TensorView view_;
};

/// A vector or matrix of a checkpoint as f32 on the backend: norm weights, biases.
inline DeviceTensor upload_f32(Backend& backend, const HostTensor& source) {
  std::vector<float> values(static_cast<std::size_t>(source.shape.elements()));
  widen_to_f32(source, values);
  DeviceTensor tensor;
  backend.upload(values.data(), tensor.resize(backend, source.shape));
  return tensor;
}

}  // namespace qasr
