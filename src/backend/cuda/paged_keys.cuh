// Words of the cache's two element types. Converting fp8 needs no newer GPU; those older than sm_89 do it in more
// instructions.
#pragma once

#include <cuda_fp8.h>

#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/paged_layout.h"

namespace qasr::cuda {

/// Elements of a 16-byte word.
template <typename Element>
constexpr int kWordElements = 16 / static_cast<int>(sizeof(Element));

constexpr float kFp8Largest = 448;

__device__ inline float fp8_scale(float largest) { return largest > 0 ? largest * (1.0f / kFp8Largest) : 1.0f; }

/// Sixteen scaled values as codes, saturated.
__device__ inline uint4 narrow_fp8(const float (&v)[16]) {
  std::uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t low = __nv_cvt_float2_to_fp8x2(make_float2(v[4 * i], v[4 * i + 1]), __NV_SATFINITE, __NV_E4M3);
    const std::uint32_t high =
        __nv_cvt_float2_to_fp8x2(make_float2(v[4 * i + 2], v[4 * i + 3]), __NV_SATFINITE, __NV_E4M3);
    words[i] = low | high << 16;
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

template <typename Element>
__device__ inline void widen_word(const uint4& bits, float (&out)[kWordElements<Element>]) {
  if constexpr (sizeof(Element) == 2) {
    widen8(bits, out);
  } else {
    const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const auto pair = static_cast<__nv_fp8x2_storage_t>(words[i / 2] >> (i % 2 * 16));
      const float2 values = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(pair, __NV_E4M3)));
      out[2 * i] = values.x;
      out[2 * i + 1] = values.y;
    }
  }
}

}  // namespace qasr::cuda
