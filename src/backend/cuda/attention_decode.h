// Attention of one new row per sequence over the paged cache, from the product that gave its queries, key and value.
#pragma once

#include "backend/cuda/batch_tables.h"
#include "backend/cuda/context.h"
#include "backend/cuda/paged_keys.cuh"

namespace qasr::cuda {

template <typename Element>
struct DecodeCall {
  const Bf16* qkv;  // [n_sequences, n_heads + 2 n_kv_heads, head_dim], neither normalised nor rotated
  const float *q_norm, *k_norm, *cosine, *sine;
  float eps;
  CacheLayer<Element> layer;  // gets the new keys and values
  BatchTables tables;
  PagedLayout layout;
  int n_sequences, n_heads;
  float scale;  // of scores, times log2(e)
  Bf16* y;      // [n_sequences, n_heads, head_dim]
};

/// Norm and rotation of queries and keys, append to the cache, attention. Element: Bf16 or Fp8.
/// @throws Error kModel  a number of query heads per KV head that there is no kernel for
template <typename Element>
void decode_attention(Context& context, const DecodeCall<Element>& call);

}  // namespace qasr::cuda
