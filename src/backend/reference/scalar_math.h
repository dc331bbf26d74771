// Scalar helpers of the reference operations.
#pragma once

#include <cmath>
#include <cstdint>

namespace qasr::reference {

inline double dot(const float* a, const float* b, std::int64_t size) noexcept {
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

/// The exact GELU, not the tanh approximation. Source: arXiv:1606.08415; torch.nn.functional.gelu.
inline float gelu(double value) noexcept {
  return static_cast<float>(0.5 * value * (1.0 + std::erf(value / std::sqrt(2.0))));
}

/// x / sqrt(mean(x^2) + eps) * weight, in place or not.
inline void rms_norm_row(const float* x, const float* weight, std::int64_t dim, float eps, float* y) noexcept {
  const double scale = 1.0 / std::sqrt(dot(x, x, dim) / static_cast<double>(dim) + eps);
  for (std::int64_t i = 0; i < dim; ++i) y[i] = static_cast<float>(x[i] * scale * weight[i]);
}

}  // namespace qasr::reference
