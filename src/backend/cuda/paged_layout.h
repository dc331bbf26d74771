// Where the keys and values of one KV head of one sequence are in the paged cache.
//
// Its elements are bf16 or fp8 (e4m3). With the latter a key or value of one head is codes and one f32 scale, the
// largest magnitude over 448.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace qasr::cuda {

using Bf16 = __nv_bfloat16;

struct Fp8 {
  std::uint8_t code;
};

/// Shape of a layer of the cache, and the place of a position in it. See CudaKvCache.
struct PagedLayout {
  int n_kv_heads;
  int page_shift;  // log2 of the positions of a page
  int head_dim;
  /// Elements between the keys and the values of the same positions.
  __host__ __device__ std::int64_t value_offset() const { return static_cast<std::int64_t>(head_dim) << page_shift; }
  __device__ std::int64_t key_at(const std::int32_t* pages, int kv_head, int position) const {
    const std::int64_t page = pages[position >> page_shift];
    return (page * n_kv_heads + kv_head) * 2 * value_offset() +
           static_cast<std::int64_t>(position & ((1 << page_shift) - 1)) * head_dim;
  }
};

/// One layer. The scale of the vector at element `at` is scales[at / head_dim]; bf16 has none.
template <typename Element>
struct CacheLayer {
  Element* elements;
  float* scales;
};

}  // namespace qasr::cuda
