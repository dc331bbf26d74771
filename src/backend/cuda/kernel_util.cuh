// Small helpers of the kernels: 16-byte loads, bf16 pairs, sums over a warp or a block, copies into shared memory.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace qasr::cuda {

using Bf16 = __nv_bfloat16;

constexpr int kWarp = 32;

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Blocks of `threads` for n elements, one each.
inline unsigned blocks_for(std::int64_t n, int threads) { return static_cast<unsigned>(ceil_div(n, threads)); }

/// Eight bf16 of one 16-byte word as f32: the lower half of a 32-bit word is the even element.
__device__ inline void widen8(const uint4& bits, float (&out)[8]) {
  const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = __uint_as_float(words[i] << 16);
    out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}

__device__ inline std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

/// The exact GELU. Source: arXiv:1606.08415.
__device__ inline float gelu(float v) { return 0.5f * v * (1.0f + erff(v * 0.70710678118654752f)); }

__device__ inline float silu(float v) { return v / (1.0f + __expf(-v)); }

__device__ inline float warp_sum(float v) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}

/// The sum over a block of up to 1,024 threads (a multiple of 32), in every thread.
__device__ inline float block_sum(float v) {
  __shared__ float partial[kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, n_warps = blockDim.x / kWarp;
  v = warp_sum(v);
  __syncthreads();  // an earlier sum may still be read
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  return warp_sum(lane < n_warps ? partial[lane] : 0.0f);
}

__device__ inline void store(float v, float* to) { *to = v; }
__device__ inline void store(float v, Bf16* to) { *to = __float2bfloat16(v); }

/// Starts a copy of 16 bytes to shared memory; zeros if not `valid` (`from` is then not read).
__device__ inline void copy_async16(void* shared_to, const void* from, bool valid) {
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_to));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;\n"); }
/// Waits until at most kPending committed groups of this thread are unfinished.
template <int kPending>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending));
}

}  // namespace qasr::cuda
