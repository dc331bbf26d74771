// y = activation(x W^T + bias), or added to y. Few rows: skinny_product.cu; many: cuBLASLt, then one pass over y for
// what the product cannot do itself (cuBLASLt's GELU is the tanh approximation).
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/skinny_product.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

__device__ float finish_value(float value, const float* bias, std::int64_t column, bool with_gelu) {
  if (bias != nullptr) value += bias[column];
  return with_gelu ? gelu(value) : value;
}

//   y [rows, cols] bf16 in place, eight elements a thread; cols is a multiple of 8
__global__ void finish_bf16_kernel(Bf16* y, const float* bias, int cols, std::int64_t n, bool with_gelu) {
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8;
  if (at >= n) return;
  uint4* place = reinterpret_cast<uint4*>(y + at);
  float v[8];
  widen8(*place, v);
  const std::int64_t column = at % cols;
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = finish_value(v[i], bias, column + i, with_gelu);
  *place = narrow8(v);
}

//   y [rows, cols] f32 = finished product, or += it; the product may be y itself
__global__ void finish_f32_kernel(const float* product, float* y, const float* bias, int cols, std::int64_t n,
                                  bool with_gelu, bool accumulate) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n) return;
  const float value = finish_value(product[at], bias, at % cols, with_gelu);
  y[at] = accumulate ? y[at] + value : value;
}

// ---- launch ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256;

}  // namespace

void CudaBackend::linear(ConstTensorView x, const LinearWeight& weight, TensorView y, const LinearOptions& options) {
  check_linear(x, weight, y, activation_dtype());
  QASR_CHECK(!options.accumulate || y.dtype == DType::kF32);
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const auto& w = static_cast<const CudaLinear&>(weight);
  if (x.rows() <= kSkinnyRows) return skinny_linear(context_, x, w, y, options);

  const bool with_gelu = options.activation == Activation::kGelu, f32 = y.dtype == DType::kF32;
  const float* bias = w.has_bias() ? w.b() : nullptr;
  const std::int64_t n = y.shape.elements();
  const int cols = static_cast<int>(y.cols());
  // A GELU before the sum with y needs the product on its own.
  const bool apart = options.accumulate && with_gelu;
  void* product = apart ? context_.scratch<float>(Scratch::kProduct, n) : y.data;
  const bool fused_bias = multiply({.x = x.data,
                                    .bias = bias,
                                    .bias_bf16 = w.bias_bf16.as<Bf16>(),
                                    .y = product,
                                    .rows = x.rows(),
                                    .f32_output = f32,
                                    .accumulate = options.accumulate && !apart},
                                   w);
  const float* missing_bias = fused_bias ? nullptr : bias;
  if (missing_bias == nullptr && !with_gelu && !apart) return;
  if (f32) {
    finish_f32_kernel<<<blocks_for(n, kThreads), kThreads, 0, context_.stream()>>>(
        static_cast<const float*>(product), y.as<float>(), missing_bias, cols, n, with_gelu, apart);
  } else {
    finish_bf16_kernel<<<blocks_for(n / 8, kThreads), kThreads, 0, context_.stream()>>>(y.as<Bf16>(), missing_bias,
                                                                                        cols, n, with_gelu);
  }
  check_launch("linear");
}

}  // namespace qasr::cuda
