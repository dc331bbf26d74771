// Causal grouped-query attention over the paged cache on the matrix units: 64 rows per block, of one query head or of
// two that share a KV head. Decode steps, one row per sequence, have an operation of their own: fused_layers.cu.
#include <bit>
#include <cmath>

#include "backend/cuda/attention_tile.cuh"
#include "backend/cuda/batch_tables.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/paged_keys.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

// Codes and scales become bf16 on their way to shared memory.
template <int kDim>
__device__ void widen_tile(const CacheLayer<Fp8>& layer, std::int64_t first, int n_rows, Bf16* to) {
  constexpr int kPieces = kDim / 16;
  for (int piece = threadIdx.x; piece < kTileKeys * kPieces; piece += kTileThreads) {
    const int row = piece / kPieces, column = piece % kPieces * 16;
    float v[16] = {};
    if (row < n_rows) {
      const std::int64_t at = first + row * kDim;
      widen_word<Fp8>(*reinterpret_cast<const uint4*>(layer.elements + at + column), v);
      const float scale = layer.scales[at / kDim];
#pragma unroll
      for (float& value : v) value *= scale;
    }
    uint4* place = reinterpret_cast<uint4*>(to + row * kTileStride<kDim> + column);
    place[0] = make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
    place[1] =
        make_uint4(pack_bf16(v[8], v[9]), pack_bf16(v[10], v[11]), pack_bf16(v[12], v[13]), pack_bf16(v[14], v[15]));
  }
}

// Keys of one KV head of one sequence; a tile of keys lies inside a page.
template <typename Element>
struct PagedKeys {
  CacheLayer<Element> layer;
  const std::int32_t* pages;
  PagedLayout layout;
  int kv_head;
  template <int kDim>
  __device__ void fetch(int first_key, int n_rows, Bf16* keys, Bf16* values) const {
    const std::int64_t at = layout.key_at(pages, kv_head, first_key);
    if constexpr (sizeof(Element) == 2) {
      const Bf16* from = layer.elements + at;
      copy_tile<kDim>(from, from + layout.value_offset(), kDim, n_rows, keys, values);
    } else {
      widen_tile<kDim>(layer, at, n_rows, keys);
      widen_tile<kDim>(layer, at + layout.value_offset(), n_rows, values);
    }
  }
};

template <typename Element>
struct CausalCall {
  const Bf16* q;  // [rows, n_heads, head_dim]
  CacheLayer<Element> layer;
  BatchTables tables;
  PagedLayout layout;
  int n_heads;
  float scale;  // of scores, times log2(e)
  Bf16* y;      // [rows, n_heads, head_dim]
};

//   grid (n_tiles, n_heads / kHeads); tiles with many keys come last in a sequence, so blocks start from the end
template <int kDim, int kHeads, typename Element>
__global__ __launch_bounds__(kTileThreads, 2) void causal_kernel(CausalCall<Element> call) {
  extern __shared__ uint4 shared[];
  const BatchTables& tables = call.tables;
  const std::int32_t* entry = tables.tiles + 2 * (gridDim.x - 1 - blockIdx.x);
  const int sequence = entry[0], row = entry[1], head = blockIdx.y * kHeads;
  const int past = tables.n_past[sequence], begin = tables.row_begin[sequence], end = tables.row_begin[sequence + 1];
  const std::int64_t width = static_cast<std::int64_t>(call.n_heads) * kDim, at = row * width + head * kDim;
  const QueryTile tile{call.q + at,        call.y + at,        width,     width, min(kTileQueries, end - row),
                       past + row - begin, past + end - begin, call.scale};
  const PagedKeys<Element> keys{call.layer, tables.pages + tables.page_begin[sequence], call.layout,
                                head / (call.n_heads / call.layout.n_kv_heads)};
  attend_tile<kDim, kHeads, true>(tile, keys, reinterpret_cast<Bf16*>(shared));
}

// ---- launch ---------------------------------------------------------------------------------------------------------

template <int kDim, int kHeads, typename Element>
void launch_heads(Context& context, const CausalCall<Element>& call, std::int64_t n_tiles) {
  static_assert(kTileQueries == kTileRows);
  constexpr int kShared = kTileSharedBytes<kDim, kHeads>;
  allow_shared_bytes(causal_kernel<kDim, kHeads, Element>, kShared);
  const dim3 grid(static_cast<unsigned>(n_tiles), static_cast<unsigned>(call.n_heads / kHeads));
  causal_kernel<kDim, kHeads, Element><<<grid, kTileThreads, kShared, context.stream()>>>(call);
  check_launch("attention_causal");
}

template <int kDim, typename Element>
void launch(Context& context, const CausalCall<Element>& call, std::int64_t n_tiles) {
  const int group = call.n_heads / call.layout.n_kv_heads;
  if (group % 2 == 0) return launch_heads<kDim, 2>(context, call, n_tiles);
  launch_heads<kDim, 1>(context, call, n_tiles);
}

}  // namespace

void CudaBackend::attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch,
                                   const KvCache& cache, TensorView y) {
  check_attention_causal(q, n_heads, layer, batch, cache, y, activation_dtype());
  if (q.rows() == 0) return;
  const Context::Use use(context_);
  const auto& paged = static_cast<const CudaKvCache&>(cache);
  const auto run = [&](auto element) {
    using Element = decltype(element);
    const CausalCall<Element> call{
        .q = q.as<Bf16>(),
        .layer = paged.layer<Element>(layer),
        .tables = locate_tables(tables_of(batch), batch),
        .layout = paged.layout(),
        .n_heads = n_heads,
        .scale = static_cast<float>(M_LOG2E / std::sqrt(static_cast<double>(cache.shape().head_dim))),
        .y = y.as<Bf16>()};
    if (cache.shape().head_dim == 64) {
      launch<64>(context_, call, count_tiles(batch));
    } else {
      launch<128>(context_, call, count_tiles(batch));
    }
  };
  if (paged.holds_fp8()) return run(Fp8{});
  run(Bf16{});
}

}  // namespace qasr::cuda
