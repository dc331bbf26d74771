// Small helpers of the kernels: 16-byte loads, bf16 pairs, sums over a warp or a block, copies into shared memory.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "backend/cuda/context.h"

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

/// Eight f32 as bf16 in one 16-byte word.
__device__ inline uint4 narrow8(const float (&v)[8]) {
  return make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
}

/// The exact GELU, 0.5 v (1 + erf(v / sqrt 2)), with erf to 5e-7.
/// Source: arXiv:1606.08415; Abramowitz and Stegun, 7.1.26.
__device__ inline float gelu(float v) {
  const float x = fabsf(v) * 0.70710678118654752f, t = __fdividef(1.0f, 1.0f + 0.3275911f * x);
  const float polynomial =
      ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
  const float erf_x = 1.0f - polynomial * __expf(-x * x);
  return 0.5f * v * (1.0f + copysignf(erf_x, v));
}

/// 2^v; results too small for a normal number become 0.
__device__ inline float fast_exp2(float v) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(v));
  return result;
}

__device__ inline float silu(float v) { return v / (1.0f + __expf(-v)); }

__device__ inline float warp_sum(float v) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}

/// The sum over a block of up to 1,024 threads (a multiple of 32), in every thread.
///   partial  shared memory that nothing else uses
__device__ inline float block_sum(float v, float (&partial)[kWarp]) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, n_warps = blockDim.x / kWarp;
  v = warp_sum(v);
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  return warp_sum(lane < n_warps ? partial[lane] : 0.0f);
}

/// Orders floats of either sign as unsigned integers.
__device__ inline unsigned ordered_bits(float value) {
  const unsigned bits = __float_as_uint(value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ inline float from_ordered_bits(unsigned bits) {
  return __uint_as_float((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

__device__ inline void store(float v, float* to) { *to = v; }
__device__ inline void store(float v, Bf16* to) { *to = __float2bfloat16(v); }
__device__ inline void store4(float4 v, float* to) { *reinterpret_cast<float4*>(to) = v; }
__device__ inline void store4(float4 v, Bf16* to) {
  *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(v.x, v.y), pack_bf16(v.z, v.w));
}

// Kernels of a decode step take a few microseconds each, of which their start is a good part. On GPUs that can (sm_90),
// a kernel launched with launch_overlapped starts while the one before it still runs. It calls let_next_start at once
// and wait_for_inputs, in every thread, before it touches anything but weights; the wait ends when all work before this
// kernel is done and visible. Older architectures have neither instruction, and the launch is an ordinary one.
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\n");
#endif
}
__device__ inline void wait_for_inputs() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}

/// Starts to bring a block's share of the weights into the L2 cache; see Context::upcoming_weights.
__device__ inline void prefetch_share(const Upcoming& upcoming) {
#if __CUDA_ARCH__ >= 900
  if (threadIdx.x != 0) return;
  const std::uint32_t n_blocks = gridDim.x * gridDim.y * gridDim.z;
  const std::uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const std::uint32_t share = (upcoming.bytes / 128 + n_blocks - 1) / n_blocks * 128, begin = block * share;
  if (begin >= upcoming.bytes) return;
  const std::uint32_t bytes = min(share, upcoming.bytes - begin);
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;\n" ::"l"(static_cast<const char*>(upcoming.data) + begin),
               "r"(bytes));
#endif
}

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
