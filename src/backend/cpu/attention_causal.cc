// Causal attention over the paged cache: a task is (sequence, tile of rows, KV head); the queries of a group share
// every read of keys and values. Key tiles are pages, counted from position 0 whatever rows the call holds, and a page
// beyond a row's position leaves its state untouched: prefill and decode steps compute the same bits.
#include <cmath>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/paged_kv_cache.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

constexpr std::size_t kTileRows = 48;  // rows times group of a tile; scores of a page of 64 stay in L1

struct CausalShape {
  std::size_t n_heads, n_kv_heads, group, head_dim, padded_dim, page_tokens, score_stride, rows_per_tile, max_queries,
      query_stride;

  CausalShape(const isa::KernelTable& isa, const KvCacheShape& cache, int heads)
      : n_heads(static_cast<std::size_t>(heads)),
        n_kv_heads(static_cast<std::size_t>(cache.n_kv_heads)),
        group(n_heads / n_kv_heads),
        head_dim(static_cast<std::size_t>(cache.head_dim)),
        padded_dim(round_up(head_dim, isa.panel_width)),
        page_tokens(static_cast<std::size_t>(cache.page_tokens)),
        score_stride(round_up(page_tokens, isa.panel_width)),
        rows_per_tile(std::max<std::size_t>(1, kTileRows / group)),
        max_queries(rows_per_tile * group),
        query_stride(round_up(head_dim, isa::kRoundedRun)) {}
};

struct CausalTask {
  int layer;
  std::size_t kv_head, n_rows, first_position;
  std::span<const std::int32_t> pages;
  std::size_t first_row, first_head;  // of the tile and of the group
  const float* q;                     // there
};

void run_task(const isa::KernelTable& isa, const CausalShape& shape, const PagedKvCache& cache, const CausalTask& task,
              float* memory, const RowSink& out) {
  const std::size_t n_queries = task.n_rows * shape.group, dim = shape.head_dim, row_stride = shape.n_heads * dim;
  float* queries = memory;
  AttentionTile tile(queries + shape.max_queries * shape.query_stride, shape.max_queries, shape.score_stride,
                     shape.padded_dim);
  tile.begin(n_queries);
  const bool in_pairs = cache.in_pairs();
  auto* rounded = reinterpret_cast<std::uint16_t*>(queries);
  for (std::size_t query = 0; query < n_queries; ++query) {
    float* to = queries + query * shape.query_stride;
    std::copy_n(task.q + query / shape.group * row_stride + query % shape.group * dim, dim, to);
    if (!in_pairs) continue;
    std::fill(to + dim, to + shape.query_stride, 0.0f);
    isa.pairs.round(to, shape.query_stride, rounded + query * 2 * shape.query_stride);
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const std::size_t n_positions = task.first_position + task.n_rows;
  for (std::size_t begin = 0; begin < n_positions; begin += shape.page_tokens) {
    const std::int32_t page = task.pages[begin / shape.page_tokens];
    isa::Panels keys = cache.keys(task.layer, page, task.kv_head);
    const std::size_t n_keys = std::min(shape.page_tokens, n_positions - begin);
    const isa::Panels values = cache.values(task.layer, page, task.kv_head, n_keys);
    keys.n_panels = ceil_div(n_keys, isa.panel_width);  // none for positions that no row of the tile sees
    const auto n_visible = [&](std::size_t query) {
      const std::size_t visible = task.first_position + query / shape.group + 1;
      return visible <= begin ? 0 : std::min(shape.page_tokens, visible - begin);
    };
    if (in_pairs) {
      tile.add_pairs(isa, rounded, 2 * shape.query_stride, n_queries, keys, values, scale, n_visible);
    } else {
      tile.add_keys(isa, queries, shape.query_stride, n_queries, keys, values, scale, n_visible);
    }
  }
  for (std::size_t query = 0; query < n_queries; ++query) {
    const float* values = tile.finish(isa, query, dim);
    out.put(task.first_row + query / shape.group, (task.first_head + query % shape.group) * dim, values, dim);
  }
}

}  // namespace

void CpuBackend::attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch,
                                  const KvCache& kv_cache, TensorView y) {
  check_attention_causal(q, n_heads, layer, batch, kv_cache, unrounded(y));
  const auto& cache = static_cast<const PagedKvCache&>(kv_cache);
  const CausalShape shape(context_.isa, cache.shape(), n_heads);
  std::int32_t longest = 0;
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    longest = std::max(longest, batch.row_begin[s + 1] - batch.row_begin[s]);
  }
  const std::size_t tiles = ceil_div(static_cast<std::size_t>(longest), shape.rows_per_tile);
  const std::size_t worker_floats =
      round_up(shape.max_queries * shape.query_stride +
                   AttentionTile::floats(shape.max_queries, shape.score_stride, shape.padded_dim),
               16);
  const auto n_threads = static_cast<std::size_t>(pool_.n_threads());
  auto lease = scratch_.lease(ScratchPool::bytes_for<float>(n_threads * worker_floats));
  float* memory = lease.take<float>(n_threads * worker_floats);
  const float* in = q.as<float>();
  const HeadRows rows(context_, y, shape.head_dim);
  pool_.parallel_for(batch.n_sequences() * tiles * shape.n_kv_heads, [&](std::size_t index, int worker) {
    const std::size_t head = index % shape.n_kv_heads, tile = index / shape.n_kv_heads % tiles;
    const std::size_t s = index / shape.n_kv_heads / tiles;
    const auto first_row = static_cast<std::size_t>(batch.row_begin[s]);
    const std::size_t n_rows = static_cast<std::size_t>(batch.row_begin[s + 1]) - first_row;
    const std::size_t begin = tile * shape.rows_per_tile;
    if (begin >= n_rows) return;  // fewer rows than the longest sequence
    const std::size_t at = ((first_row + begin) * shape.n_heads + head * shape.group) * shape.head_dim;
    const CausalTask task{layer,
                          head,
                          std::min(shape.rows_per_tile, n_rows - begin),
                          static_cast<std::size_t>(batch.n_past[s]) + begin,
                          batch.pages[s],
                          first_row + begin,
                          head * shape.group,
                          in + at};
    run_task(context_.isa, shape, cache, task, memory + static_cast<std::size_t>(worker) * worker_floats, rows.sink());
  });
  rows.finish();
}

}  // namespace qasr::cpu
