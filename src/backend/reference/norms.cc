// LayerNorm and RMSNorm of each row.
#include <cmath>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {

void ReferenceBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps,
                                  TensorView y) {
  check_norm(x, weight, y);
  check_vector(bias, x.cols());
  const std::int64_t dim = x.cols();
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    const float* in = x.as<float>() + row * dim;
    float* out = y.as<float>() + row * dim;
    double mean = 0;
    for (std::int64_t i = 0; i < dim; ++i) mean += in[i];
    mean /= static_cast<double>(dim);
    double variance = 0;
    for (std::int64_t i = 0; i < dim; ++i) variance += (in[i] - mean) * (in[i] - mean);
    const double scale = 1.0 / std::sqrt(variance / static_cast<double>(dim) + eps);
    for (std::int64_t i = 0; i < dim; ++i) {
      out[i] = static_cast<float>((in[i] - mean) * scale * weight.as<float>()[i] + bias.as<float>()[i]);
    }
  }
}

void ReferenceBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
  check_norm(x, weight, y);
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    rms_norm_row(x.as<float>() + row * x.cols(), weight.as<float>(), x.cols(), eps, y.as<float>() + row * x.cols());
  }
}

}  // namespace qasr::reference
