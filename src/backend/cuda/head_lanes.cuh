// Heads of queries, keys and values in a warp: 16 bytes of the cache a lane, so several lanes hold one head and a warp
// holds several heads. Norm, rotation and append as decode steps and prefill do them.
#pragma once

#include "backend/cuda/paged_keys.cuh"

namespace qasr::cuda {

template <int kDim, typename Element>
struct HeadLanes {
  static constexpr int kEach = kWordElements<Element>;  // neighbouring dimensions of a lane
  static constexpr int kLanes = kDim / kEach;           // lanes of one head
  static constexpr int kKeysAtOnce = kWarp / kLanes;    // heads of a warp
};

// The sum over the lanes that hold one head, in each of them.
template <typename Shape>
__device__ float key_sum(float v) {
#pragma unroll
  for (int offset = Shape::kLanes / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}

// kEach dimensions of a head of the product.
template <typename S>
__device__ void load_head(const Bf16* head, float (&out)[S::kEach]) {
  const Bf16* from = head + threadIdx.x % S::kLanes * S::kEach;
#pragma unroll
  for (int word = 0; word < S::kEach / 8; ++word) {
    float v[8];
    widen8(*reinterpret_cast<const uint4*>(from + word * 8), v);
#pragma unroll
    for (int i = 0; i < 8; ++i) out[word * 8 + i] = v[i];
  }
}

// RMSNorm and RoPE: a lane's partners, half a head away, are those of the lane half the lanes of a key away.
//   norm [kDim]    cosine, sine [kDim / 2] of the position
template <int kDim, typename S>
__device__ void normalise_and_rotate(const float* norm, float eps, const float* cosine, const float* sine,
                                     float (&v)[S::kEach]) {
  const int column = threadIdx.x % S::kLanes * S::kEach, angle = column % (kDim / 2);
  float squares = 0;
#pragma unroll
  for (int i = 0; i < S::kEach; ++i) squares += v[i] * v[i];
  const float scale = rsqrtf(key_sum<S>(squares) / kDim + eps), sign = column < kDim / 2 ? -1.0f : 1.0f;
#pragma unroll
  for (int i = 0; i < S::kEach; ++i) {
    v[i] *= scale * norm[column + i];
    const float other = __shfl_xor_sync(0xffffffffu, v[i], S::kLanes / 2);
    v[i] = v[i] * cosine[angle + i] + sign * other * sine[angle + i];
  }
}

// Stores one key or value of the cache and leaves in `v` what the cache then holds. All lanes call; `writes` of them,
// which hold the whole vector, store.
template <int kDim, typename Element>
__device__ void store_vector(const CacheLayer<Element>& layer, std::int64_t at, bool writes,
                             float (&v)[HeadLanes<kDim, Element>::kEach]) {
  using S = HeadLanes<kDim, Element>;
  const int column = threadIdx.x % S::kLanes * S::kEach;
  uint4 word;
  if constexpr (sizeof(Element) == 1) {
    float largest = 0;
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) largest = fmaxf(largest, fabsf(v[i]));
#pragma unroll
    for (int offset = S::kLanes / 2; offset > 0; offset /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
    }
    const float scale = fp8_scale(largest), inverse = 1.0f / scale;
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) v[i] *= inverse;
    word = narrow_fp8(v);
    widen_word<Element>(word, v);
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) v[i] *= scale;
    if (writes && column == 0) layer.scales[at / kDim] = scale;
  } else {
    word = narrow8(v);
    widen_word<Element>(word, v);
  }
  if (writes) *reinterpret_cast<uint4*>(layer.elements + at + column) = word;
}

}  // namespace qasr::cuda
