// Log-softmax at one id per row: a block per row, each thread with the maximum and the sum of its own logits, joined at
// the end (online softmax, arXiv:1805.02867).
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 1024;

struct Partial {
  float max;  // of the logits seen
  float sum;  // of exp(logit - max)
};

__device__ Partial join(Partial a, Partial b) {
  const float max = fmaxf(a.max, b.max);
  if (max == -INFINITY) return {max, 0.0f};
  return {max, a.sum * __expf(a.max - max) + b.sum * __expf(b.max - max)};
}

__device__ Partial warp_join(Partial p) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    p = join(p, {__shfl_xor_sync(0xffffffffu, p.max, offset), __shfl_xor_sync(0xffffffffu, p.sum, offset)});
  }
  return p;
}

//   logits [rows, vocab]    ids, log_probs [rows]; grid (rows)
__global__ void log_prob_kernel(const float* logits, int vocab, const std::int32_t* ids, float* log_probs) {
  let_next_start();
  wait_for_inputs();
  const float* row = logits + static_cast<std::int64_t>(blockIdx.x) * vocab;
  Partial mine{-INFINITY, 0.0f};
  for (int id = threadIdx.x; id < vocab; id += kThreads) mine = join(mine, {row[id], 1.0f});
  __shared__ Partial warps[kThreads / kWarp];
  mine = warp_join(mine);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = mine;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  const Partial all = warp_join(warps[threadIdx.x]);
  if (threadIdx.x == 0) log_probs[blockIdx.x] = row[ids[blockIdx.x]] - all.max - __logf(all.sum);
}
static_assert(kThreads / kWarp == kWarp, "the last join is one warp's");

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs) {
  check_pick_log_probs(logits, ids, log_probs);
  if (logits.rows() == 0) return;
  const Context::Use use(context_);
  launch_overlapped(context_, "pick_log_probs", static_cast<unsigned>(logits.rows()), kThreads, log_prob_kernel,
                    logits.as<float>(), static_cast<int>(logits.cols()), ids.as<std::int32_t>(), log_probs.as<float>());
}

}  // namespace qasr::cuda
