// Attention of one new row per sequence over the paged cache.
#pragma once

#include "backend/cuda/batch_tables.h"
#include "backend/cuda/context.h"
#include "backend/cuda/paged_keys.cuh"

namespace qasr::cuda {

struct CausalCall {
  const Bf16* q;      // [rows, n_heads, head_dim]
  const Bf16* layer;  // of the cache
  BatchTables tables;
  PagedLayout layout;
  int n_sequences, n_heads;
  float scale;  // of scores, times log2(e)
  Bf16* y;      // [rows, n_heads, head_dim]
};

/// Backend::attention_causal of a decode step.
/// @throws Error kModel  a number of query heads per KV head that there is no kernel for
void decode_attention(Context& context, const CausalCall& call);

}  // namespace qasr::cuda
