// Product with the head, then the index of the largest logit in two steps: parts of a row, then the parts.
// The lowest index on ties; NaN never wins.
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256, kParts = 32;
constexpr std::int32_t kNone = 0x7fffffff;

struct Best {
  float value;
  std::int32_t id;  // kNone: nothing but NaN so far
};

__device__ bool is_better(Best a, Best b) {
  if (a.id == kNone || b.id == kNone) return b.id == kNone && a.id != kNone;
  return a.value > b.value || (a.value == b.value && a.id < b.id);
}

__device__ Best warp_best(Best best) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Best other{__shfl_xor_sync(0xffffffffu, best.value, offset), __shfl_xor_sync(0xffffffffu, best.id, offset)};
    if (is_better(other, best)) best = other;
  }
  return best;
}

//   logits [rows, vocab]    parts [rows, kParts]; grid (kParts, rows)
__global__ void part_kernel(const float* logits, int vocab, Best* parts) {
  let_next_start();
  wait_for_inputs();
  const float* row = logits + static_cast<std::int64_t>(blockIdx.y) * vocab;
  const int part_size = (vocab + kParts - 1) / kParts, begin = blockIdx.x * part_size;
  const int end = min(begin + part_size, vocab);
  Best best{0.0f, kNone};
  for (int id = begin + threadIdx.x; id < end; id += kThreads) {
    const Best candidate{row[id], id};
    if (candidate.value == candidate.value && is_better(candidate, best)) best = candidate;
  }
  __shared__ Best warps[kThreads / kWarp];
  best = warp_best(best);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = best;
  __syncthreads();
  if (threadIdx.x < kWarp) {
    best = threadIdx.x < kThreads / kWarp ? warps[threadIdx.x] : Best{0.0f, kNone};
    best = warp_best(best);
    if (threadIdx.x == 0) parts[blockIdx.y * kParts + blockIdx.x] = best;
  }
}

// One warp per row: kParts is the size of a warp.
__global__ void row_kernel(const Best* parts, std::int32_t* ids) {
  let_next_start();
  wait_for_inputs();
  const Best best = warp_best(parts[blockIdx.x * kParts + threadIdx.x]);
  if (threadIdx.x == 0) ids[blockIdx.x] = best.id == kNone ? 0 : best.id;
}

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::argmax_ids(ConstTensorView x, const LinearWeight& head, TensorView logits, TensorView ids) {
  check_ids(ids, x.rows());
  check_matrix(logits, x.rows(), head.out_features());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  linear(x, head, logits, {});
  find_largest(logits, ids);
}

// ids[r] = index of the largest element of a row of logits.
void CudaBackend::find_largest(ConstTensorView logits, TensorView ids) {
  const auto rows = static_cast<unsigned>(logits.rows());
  Best* parts = context_.scratch<Best>(Scratch::kArgmax, logits.rows() * kParts);
  launch_overlapped(context_, "argmax_logits", dim3(kParts, rows), kThreads, part_kernel, logits.as<float>(),
                    static_cast<int>(logits.cols()), parts);
  launch_overlapped(context_, "argmax_logits", rows, kParts, row_kernel, parts, ids.as<std::int32_t>());
}

void CudaBackend::argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                                std::span<std::int32_t> ids) {
  check_argmax_logits(x, head, logits, ids, activation_dtype());
  if (ids.empty()) return;
  const DeviceMemory memory = [&] {
    const Context::Use use(context_);
    return DeviceMemory(ids.size_bytes());
  }();
  const TensorView found(memory.data(), DType::kI32, {x.rows()});
  argmax_ids(x, head, logits, found);
  download(found, ids.data());
}

}  // namespace qasr::cuda
