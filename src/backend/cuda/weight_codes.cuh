// The formats a weight matrix is held in on the GPU, as kernels read them: rows of codes, with scales or without.
//
//   Bf16          the weights themselves
//   std::int8_t   8-bit integers, one f16 scale per 32 of a row (as the CPU's q8): weight = code * scale
//   Fp8           e4m3 codes, one f32 scale per row: weight = code * scale
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/paged_keys.cuh"

namespace qasr::cuda {

constexpr int kScaleBlock = 32;  // weights of a row that share a scale, of std::int8_t

template <typename Code>
constexpr int kCodesPerWord = 16 / static_cast<int>(sizeof(Code));
template <typename Code>
constexpr bool kHasBlockScales = std::is_same_v<Code, std::int8_t>;

template <typename Code>
struct Codes {
  const Code* codes;
  const void* scales;
  /// Of the block that element `at` of the matrix is in.
  __device__ float block_scale(std::int64_t at) const {
    return __half2float(static_cast<const __half*>(scales)[at / kScaleBlock]);
  }
  __device__ float row_scale(std::int64_t row) const {
    if constexpr (std::is_same_v<Code, Fp8>) return static_cast<const float*>(scales)[row];
    return 1.0f;
  }
};

template <typename Code>
__device__ inline void widen_codes(const uint4& bits, float (&out)[kCodesPerWord<Code>]) {
  if constexpr (std::is_same_v<Code, std::int8_t>) {
    const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 16; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(words[i / 4] >> (i % 4 * 8)));
  } else {
    widen_word<Code>(bits, out);
  }
}

template <typename Code>
Codes<Code> codes_of(const CudaLinear& w) {
  return {w.weight.as<Code>(), w.scales.data()};
}

/// Calls f with a value of the matrix's code type.
template <typename F>
void with_codes(const CudaLinear& w, F f) {
  switch (w.format) {
    case CudaFormat::kBf16:
      return f(Bf16{});
    case CudaFormat::kQ8:
      return f(std::int8_t{});
    case CudaFormat::kFp8:
      return f(Fp8{});
  }
}

}  // namespace qasr::cuda
