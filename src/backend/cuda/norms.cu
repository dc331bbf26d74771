// LayerNorm and RMSNorm of each row: one block per row, two passes over values that stay in cache.
#include <algorithm>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

// A row, four elements at a time; dim is a multiple of four.
template <typename Visit>
__device__ void for_each4(const float* row, int dim, Visit visit) {
  for (int i = threadIdx.x * 4; i < dim; i += blockDim.x * 4) visit(i, *reinterpret_cast<const float4*>(row + i));
}

//   x [rows, dim] f32    weight [dim]    y [rows, dim]; y may be x: a row is read before it is written
template <typename Out>
__global__ void rms_norm_kernel(const float* x, const float* weight, int dim, float eps, Out* y, Upcoming upcoming) {
  __shared__ float partial[kWarp];
  let_next_start();
  prefetch_share(upcoming);
  wait_for_inputs();
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * dim;
  Out* out = y + static_cast<std::int64_t>(blockIdx.x) * dim;
  float sum = 0;
  for_each4(row, dim, [&](int, float4 v) { sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w; });
  const float scale = rsqrtf(block_sum(sum, partial) / dim + eps);
  for_each4(row, dim, [&](int i, float4 v) {
    const float4 w = *reinterpret_cast<const float4*>(weight + i);
    store4(make_float4(v.x * scale * w.x, v.y * scale * w.y, v.z * scale * w.z, v.w * scale * w.w), out + i);
  });
}

// Mean first, then the variance around it: no cancellation.
template <typename Out>
__global__ void layer_norm_kernel(const float* x, const float* weight, const float* bias, int dim, float eps, Out* y) {
  __shared__ float partial_sum[kWarp], partial_squares[kWarp];
  let_next_start();
  wait_for_inputs();
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * dim;
  Out* out = y + static_cast<std::int64_t>(blockIdx.x) * dim;
  float sum = 0;
  for_each4(row, dim, [&](int, float4 v) { sum += v.x + v.y + v.z + v.w; });
  const float mean = block_sum(sum, partial_sum) / dim;
  const auto centred = [&](float4 v) { return make_float4(v.x - mean, v.y - mean, v.z - mean, v.w - mean); };
  float squares = 0;
  for_each4(row, dim, [&](int, float4 v) {
    const float4 c = centred(v);
    squares += c.x * c.x + c.y * c.y + c.z * c.z + c.w * c.w;
  });
  const float scale = rsqrtf(block_sum(squares, partial_squares) / dim + eps);
  for_each4(row, dim, [&](int i, float4 v) {
    const float4 c = centred(v), w = *reinterpret_cast<const float4*>(weight + i);
    const float4 b = *reinterpret_cast<const float4*>(bias + i);
    store4(
        make_float4(c.x * scale * w.x + b.x, c.y * scale * w.y + b.y, c.z * scale * w.z + b.z, c.w * scale * w.w + b.w),
        out + i);
  });
}

// ---- launch ---------------------------------------------------------------------------------------------------------

// One float4 a thread, as far as that goes.
int threads_for(std::int64_t dim) { return std::clamp(static_cast<int>(ceil_div(dim, 4 * kWarp)) * kWarp, kWarp, 256); }

}  // namespace

void CudaBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
  check_norm(x, weight, y, activation_dtype());
  QASR_CHECK(x.cols() % 4 == 0);
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const auto run = [&](auto* out) {
    launch_overlapped(context_, "rms_norm", static_cast<unsigned>(x.rows()), threads_for(x.cols()),
                      rms_norm_kernel<std::remove_pointer_t<decltype(out)>>, x.as<float>(), weight.as<float>(),
                      static_cast<int>(x.cols()), eps, out, upcoming_for(context_, x.rows()));
  };
  if (y.dtype == DType::kBf16) return run(y.as<Bf16>());
  run(y.as<float>());
}

void CudaBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) {
  check_norm(x, weight, y, activation_dtype());
  check_vector(bias, x.cols());
  QASR_CHECK(x.cols() % 4 == 0);
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const auto run = [&](auto* out) {
    launch_overlapped(context_, "layer_norm", static_cast<unsigned>(x.rows()), threads_for(x.cols()),
                      layer_norm_kernel<std::remove_pointer_t<decltype(out)>>, x.as<float>(), weight.as<float>(),
                      bias.as<float>(), static_cast<int>(x.cols()), eps, out);
  };
  if (y.dtype == DType::kBf16) return run(y.as<Bf16>());
  run(y.as<float>());
}

}  // namespace qasr::cuda
