// Causal grouped-query attention over the paged cache. Decode steps, one row per sequence, are limited by reading the
// cache: attention_decode.cu. Everything else runs on the matrix units here, one query head and 64 rows per block.
#include <bit>
#include <cmath>

#include "backend/cuda/attention_decode.h"
#include "backend/cuda/attention_tile.cuh"
#include "backend/cuda/batch_tables.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/paged_keys.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

// Keys of one KV head of one sequence; a tile of keys lies inside a page.
struct PagedKeys {
  const Bf16* layer;
  const std::int32_t* pages;
  PagedLayout layout;
  int kv_head;
  __device__ KeyRows tile(int first_key) const {
    const Bf16* keys = layer + layout.key_at(pages, kv_head, first_key);
    return {keys, keys + layout.value_offset(), layout.head_dim};
  }
};

//   grid (n_tiles, n_heads); tiles with many keys come last in a sequence, so blocks start from the end
template <int kDim>
__global__ __launch_bounds__(kTileThreads) void causal_kernel(const Bf16* q, const Bf16* layer, BatchTables tables,
                                                              PagedLayout layout, int n_heads, float scale, Bf16* y) {
  extern __shared__ uint4 shared[];
  const std::int32_t* entry = tables.tiles + 2 * (gridDim.x - 1 - blockIdx.x);
  const int sequence = entry[0], row = entry[1], head = blockIdx.y;
  const int past = tables.n_past[sequence], begin = tables.row_begin[sequence], end = tables.row_begin[sequence + 1];
  const std::int64_t width = static_cast<std::int64_t>(n_heads) * kDim, at = row * width + head * kDim;
  const QueryTile tile{
      q + at, y + at, width, width, min(kTileQueries, end - row), past + row - begin, past + end - begin, scale};
  const PagedKeys keys{layer, tables.pages + tables.page_begin[sequence], layout, head / (n_heads / layout.n_kv_heads)};
  attend_tile<kDim, true>(tile, keys, reinterpret_cast<Bf16*>(shared));
}

// ---- launch ---------------------------------------------------------------------------------------------------------

template <int kDim>
void launch(Context& context, const CausalCall& call, std::int64_t n_tiles) {
  static_assert(kTileQueries == kTileRows);
  constexpr int kShared = kTileSharedBytes<kDim>;
  allow_shared_bytes(causal_kernel<kDim>, kShared);
  const dim3 grid(static_cast<unsigned>(n_tiles), static_cast<unsigned>(call.n_heads));
  causal_kernel<kDim><<<grid, kTileThreads, kShared, context.stream()>>>(call.q, call.layer, call.tables, call.layout,
                                                                         call.n_heads, call.scale, call.y);
  check_launch("attention_causal");
}

}  // namespace

void CudaBackend::attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch,
                                   const KvCache& cache, TensorView y) {
  check_attention_causal(q, n_heads, layer, batch, cache, y, activation_dtype());
  if (q.rows() == 0) return;
  const Context::Use use(context_);
  const KvCacheShape& shape = cache.shape();
  const CausalCall call{
      .q = q.as<Bf16>(),
      .layer = static_cast<const CudaKvCache&>(cache).layer(layer),
      .tables = locate_tables(tables_of(batch), batch),
      .layout = {shape.n_kv_heads, std::countr_zero(static_cast<unsigned>(shape.page_tokens)), shape.head_dim},
      .n_sequences = static_cast<int>(batch.n_sequences()),
      .n_heads = n_heads,
      .scale = static_cast<float>(M_LOG2E / std::sqrt(static_cast<double>(shape.head_dim))),
      .y = y.as<Bf16>()};
  if (is_decode_step(batch)) {
    decode_attention(context_, call);
  } else if (shape.head_dim == 64) {
    launch<64>(context_, call, count_tiles(batch));
  } else {
    launch<128>(context_, call, count_tiles(batch));
  }
}

}  // namespace qasr::cuda
