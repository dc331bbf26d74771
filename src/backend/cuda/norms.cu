// LayerNorm and RMSNorm of each row: one block per row, two passes over values that stay in cache.
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

//   x [rows, dim] f32    weight [dim]    y [rows, dim]; y may be x: a row is read before it is written
template <typename Out>
__global__ void rms_norm_kernel(const float* x, const float* weight, int dim, float eps, Out* y) {
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * dim;
  Out* out = y + static_cast<std::int64_t>(blockIdx.x) * dim;
  float sum = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) sum += row[i] * row[i];
  const float scale = rsqrtf(block_sum(sum) / dim + eps);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) store(row[i] * scale * weight[i], out + i);
}

// Mean first, then the variance around it: no cancellation.
template <typename Out>
__global__ void layer_norm_kernel(const float* x, const float* weight, const float* bias, int dim, float eps, Out* y) {
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * dim;
  Out* out = y + static_cast<std::int64_t>(blockIdx.x) * dim;
  float sum = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) sum += row[i];
  const float mean = block_sum(sum) / dim;
  float squares = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) squares += (row[i] - mean) * (row[i] - mean);
  const float scale = rsqrtf(block_sum(squares) / dim + eps);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) store((row[i] - mean) * scale * weight[i] + bias[i], out + i);
}

// ---- launch ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256;

}  // namespace

void CudaBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
  check_norm(x, weight, y, activation_dtype());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const auto rows = static_cast<unsigned>(x.rows());
  const int dim = static_cast<int>(x.cols());
  if (y.dtype == DType::kBf16) {
    rms_norm_kernel<<<rows, kThreads, 0, context_.stream()>>>(x.as<float>(), weight.as<float>(), dim, eps,
                                                              y.as<Bf16>());
  } else {
    rms_norm_kernel<<<rows, kThreads, 0, context_.stream()>>>(x.as<float>(), weight.as<float>(), dim, eps,
                                                              y.as<float>());
  }
  check_launch("rms_norm");
}

void CudaBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) {
  check_norm(x, weight, y, activation_dtype());
  check_vector(bias, x.cols());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const auto rows = static_cast<unsigned>(x.rows());
  const int dim = static_cast<int>(x.cols());
  if (y.dtype == DType::kBf16) {
    layer_norm_kernel<<<rows, kThreads, 0, context_.stream()>>>(x.as<float>(), weight.as<float>(), bias.as<float>(),
                                                                dim, eps, y.as<Bf16>());
  } else {
    layer_norm_kernel<<<rows, kThreads, 0, context_.stream()>>>(x.as<float>(), weight.as<float>(), bias.as<float>(),
                                                                dim, eps, y.as<float>());
  }
  check_launch("layer_norm");
}

}  // namespace qasr::cuda
