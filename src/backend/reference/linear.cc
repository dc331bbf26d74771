// y = activation(x W^T + bias), or added to y.
#include <cmath>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {

void ReferenceBackend::linear(ConstTensorView x, const LinearWeight& w, TensorView y, const LinearOptions& options) {
  check_linear(x, w, y);
  const auto& weight = static_cast<const Linear&>(w);
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    const std::vector<float> in = weight.input_row(x, row);
    float* out = y.as<float>() + row * y.cols();
    for (std::int64_t feature = 0; feature < y.cols(); ++feature) {
      double sum = dot(in.data(), weight.row(feature), x.cols());
      if (weight.has_bias()) sum += weight.bias[static_cast<std::size_t>(feature)];
      const float value = options.activation == Activation::kGelu ? gelu(sum) : static_cast<float>(sum);
      out[feature] = options.accumulate ? out[feature] + value : value;
    }
  }
}

}  // namespace qasr::reference
