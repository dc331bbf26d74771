// WeightPacker: takes the tensors of a checkpoint to a backend, matrix by matrix, and says when each is done, so that
// the checkpoint's pages can be given back and progress be shown while a large model loads.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/device_tensor.h"
#include "model/weight_formats.h"
#include "weights/weight_store.h"

namespace qasr {

class WeightPacker {
 public:
  /// The backend has its own copy of the tensor's values; nobody reads the checkpoint's any more.
  using PackedCallback = std::function<void(const HostTensor&)>;

  /// Borrows all but the callback.
  /// @param format  chosen for the model; what a matrix gets depends on its role too (model/weight_formats.h). With
  /// kAuto
  ///                and kStored, matrices whose integers the backend can hold as they are stay as they are
  WeightPacker(const WeightStore& weights, Backend& backend, WeightFormat format, PackedCallback on_packed = {})
      : weights_(weights), backend_(backend), format_(format), on_packed_(std::move(on_packed)) {}

  Backend& backend() const { return backend_; }

  /// A norm weight or bias as f32.
  DeviceTensor vector(const std::string& name) const;
  /// Backend::make_linear of the named matrices [n_i, in] and, where given, biases [n_i].
  std::unique_ptr<LinearWeight> linear(MatrixRole role, std::initializer_list<std::string> matrices,
                                       std::initializer_list<std::string> biases = {}) const;
  /// Backend::make_gate_up.
  std::unique_ptr<LinearWeight> gate_up(MatrixRole role, const std::string& gate, const std::string& up) const;
  /// Backend::make_conv_stem of "PREFIX1.weight", "PREFIX1.bias" and the same with 2 and 3.
  std::unique_ptr<ConvStemWeight> conv_stem(MatrixRole role, const std::string& prefix) const;

 private:
  WeightFormat format_of(MatrixRole role, std::span<const HostTensor> tensors) const;
  std::vector<HostTensor> tensors(std::initializer_list<std::string> names) const;
  void packed(std::span<const HostTensor> tensors) const;

  const WeightStore& weights_;
  Backend& backend_;
  WeightFormat format_;
  PackedCallback on_packed_;
};

}  // namespace qasr
