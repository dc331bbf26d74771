// Bidirectional attention inside blocks: a task is (block, head, tile of queries); keys and values are packed into
// panels a tile at a time.
#include <cmath>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

constexpr std::size_t kQueries = 128;  // covers the official windows of 104 tokens, so keys are packed once
constexpr std::size_t kKeys = 64;      // a multiple of every panel width

// Keys [n, head_dim] at stride `stride`: features are keys, depth is head_dim. Keys up to kKeys are zero.
void pack_keys(const float* from, std::size_t stride, std::size_t n, std::size_t head_dim, std::size_t width,
               float* to) {
  for (std::size_t key = 0; key < kKeys; ++key) {
    float* column = to + key / width * width * head_dim + key % width;
    for (std::size_t d = 0; d < head_dim; ++d) column[d * width] = key < n ? from[key * stride + d] : 0.0f;
  }
}

// Values [n, head_dim]: features are head_dim, padded with zeros, depth is keys.
void pack_values(const float* from, std::size_t stride, std::size_t n, std::size_t head_dim, std::size_t width,
                 float* to) {
  for (std::size_t begin = 0; begin < head_dim; begin += width, to += kKeys * width) {
    const std::size_t count = std::min(width, head_dim - begin);
    for (std::size_t key = 0; key < n; ++key) {
      std::copy_n(from + key * stride + begin, count, to + key * width);
      std::fill_n(to + key * width + count, width - count, 0.0f);
    }
  }
}

struct BlocksTask {
  const float* qkv;  // first row of the block, this head's query
  std::size_t row_stride, key_offset, value_offset, head_dim;
  std::size_t n_keys, query_begin, n_queries;
};

void run_task(const isa::KernelTable& isa, const BlocksTask& task, float* memory, std::size_t first_row,
              std::size_t column, const RowSink& out) {
  const std::size_t width = isa.panel_width, padded_dim = round_up(task.head_dim, width);
  float *keys = memory, *values = keys + kKeys * task.head_dim;
  AttentionTile tile(values + kKeys * padded_dim, kQueries, kKeys, padded_dim);
  tile.begin(task.n_queries);
  const float scale = 1.0f / std::sqrt(static_cast<float>(task.head_dim));
  const float* queries = task.qkv + task.query_begin * task.row_stride;
  for (std::size_t begin = 0; begin < task.n_keys; begin += kKeys) {
    const std::size_t count = std::min(kKeys, task.n_keys - begin);
    const float* row = task.qkv + begin * task.row_stride;
    pack_keys(row + task.key_offset, task.row_stride, count, task.head_dim, width, keys);
    pack_values(row + task.value_offset, task.row_stride, count, task.head_dim, width, values);
    tile.add_keys(isa, queries, task.row_stride, task.n_queries,
                  {keys, false, kKeys / width, task.head_dim, task.head_dim * width},
                  {values, false, padded_dim / width, count, kKeys * width}, scale,
                  [count](std::size_t) { return count; });
  }
  for (std::size_t query = 0; query < task.n_queries; ++query) {
    out.put(first_row + query, column, tile.finish(isa, query, task.head_dim), task.head_dim);
  }
}

}  // namespace

void CpuBackend::attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y) {
  check_attention_blocks(qkv, n_heads, blocks, unrounded(y));
  const std::span<const std::int32_t> block_begin = blocks.begin;
  const auto heads = static_cast<std::size_t>(n_heads), width = static_cast<std::size_t>(y.cols());
  const std::size_t head_dim = width / heads, padded_dim = round_up(head_dim, context_.isa.panel_width);
  const std::size_t n_blocks = block_begin.size() - 1;
  std::int32_t longest = 0;
  for (std::size_t block = 0; block < n_blocks; ++block) {
    longest = std::max(longest, block_begin[block + 1] - block_begin[block]);
  }
  const std::size_t tiles = ceil_div(static_cast<std::size_t>(longest), kQueries);
  const std::size_t worker_floats =
      round_up(kKeys * (head_dim + padded_dim) + AttentionTile::floats(kQueries, kKeys, padded_dim), 16);
  const auto n_threads = static_cast<std::size_t>(pool_.n_threads());
  auto lease = scratch_.lease(ScratchPool::bytes_for<float>(n_threads * worker_floats));
  float* memory = lease.take<float>(n_threads * worker_floats);
  const float* in = qkv.as<float>();
  const HeadRows rows(context_, y, head_dim);
  pool_.parallel_for(n_blocks * tiles * heads, [&](std::size_t index, int worker) {
    const std::size_t head = index % heads, tile = index / heads % tiles, block = index / heads / tiles;
    const auto row = static_cast<std::size_t>(block_begin[block]);
    const std::size_t n_keys = static_cast<std::size_t>(block_begin[block + 1]) - row, begin = tile * kQueries;
    if (begin >= n_keys) return;  // a shorter block than the longest
    const BlocksTask task{in + row * 3 * width + head * head_dim, 3 * width, width, 2 * width, head_dim, n_keys, begin,
                          std::min(kQueries, n_keys - begin)};
    run_task(context_.isa, task, memory + static_cast<std::size_t>(worker) * worker_floats, row + begin,
             head * head_dim, rows.sink());
  });
  rows.finish();
}

}  // namespace qasr::cpu
