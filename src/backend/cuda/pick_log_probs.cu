// Log-softmax at one id per row: a block per row, each thread an online softmax over its part, then the block.
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 1024;
// Of a thread under way at a time: one after the other their latency would be all of the time.
constexpr int kLoads = 16;

struct SoftmaxSum {
  float largest, total;
};

__device__ SoftmaxSum merge(SoftmaxSum a, SoftmaxSum b) {
  const float largest = fmaxf(a.largest, b.largest), base = largest == -INFINITY ? 0.0f : largest;
  return {largest, a.total * __expf(a.largest - base) + b.total * __expf(b.largest - base)};
}

__device__ SoftmaxSum warp_merge(SoftmaxSum sum) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum = merge(sum,
                {__shfl_xor_sync(0xffffffffu, sum.largest, offset), __shfl_xor_sync(0xffffffffu, sum.total, offset)});
  }
  return sum;
}

//   logits [rows, vocab]    ids, log_probs [rows]
__global__ __launch_bounds__(kThreads) void pick_kernel(const float* logits, int vocab, const std::int32_t* ids,
                                                        float* log_probs) {
  __shared__ SoftmaxSum warps[kThreads / kWarp];
  let_next_start();
  wait_for_inputs();
  const float* row = logits + static_cast<std::int64_t>(blockIdx.x) * vocab;
  SoftmaxSum sum{-INFINITY, 0.0f};
  for (int first = threadIdx.x; first < vocab; first += kThreads * kLoads) {
    float values[kLoads], largest = sum.largest;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) values[i] = first + i * kThreads < vocab ? row[first + i * kThreads] : -INFINITY;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) largest = fmaxf(largest, values[i]);
    const float base = largest == -INFINITY ? 0.0f : largest;
    sum.total *= __expf(sum.largest - base);
    sum.largest = largest;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) sum.total += __expf(values[i] - base);
  }
  sum = warp_merge(sum);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  sum = warp_merge(warps[threadIdx.x]);
  if (threadIdx.x == 0) log_probs[blockIdx.x] = row[ids[blockIdx.x]] - sum.largest - logf(sum.total);
}

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs) {
  check_pick_log_probs(logits, ids, log_probs);
  if (logits.rows() == 0) return;
  const Context::Use use(context_);
  launch_overlapped(context_, "pick_log_probs", static_cast<unsigned>(logits.rows()), kThreads, pick_kernel,
                    logits.as<float>(), static_cast<int>(logits.cols()), ids.as<std::int32_t>(), log_probs.as<float>());
}

}  // namespace qasr::cuda
