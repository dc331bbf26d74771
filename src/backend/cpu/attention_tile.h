// Online softmax attention (arXiv:1805.02867, arXiv:2205.14135) of a tile of queries over tiles of keys: the part
// shared by attention inside blocks and attention over the cache. No score matrix in memory, only a tile of it.
#pragma once

#include <algorithm>
#include <limits>

#include "backend/cpu/context.h"

namespace qasr::cpu {

/// Scratch of one worker for a tile of queries.
struct AttentionTile {
  std::size_t max_queries, score_stride, out_stride;
  float* scores;             ///< [max_queries, score_stride]
  float* out;                ///< [max_queries, out_stride], weighted sums of values so far
  isa::SoftmaxRow* softmax;  ///< [max_queries]

  static std::size_t floats(std::size_t queries, std::size_t score_stride, std::size_t out_stride) {
    return round_up(queries * (score_stride + out_stride + sizeof(isa::SoftmaxRow) / sizeof(float)), 16);
  }
  AttentionTile(float* memory, std::size_t queries, std::size_t score_stride_, std::size_t out_stride_)
      : max_queries(queries),
        score_stride(score_stride_),
        out_stride(out_stride_),
        scores(memory),
        out(memory + queries * score_stride_),
        softmax(reinterpret_cast<isa::SoftmaxRow*>(out + queries * out_stride_)) {}

  void begin(std::size_t n_queries) noexcept {
    std::fill_n(out, n_queries * out_stride, 0.0f);
    std::fill_n(softmax, n_queries, isa::SoftmaxRow{-std::numeric_limits<float>::infinity(), 0.0f});
  }

  /// The finished row `query` [n], in place.
  float* finish(const isa::KernelTable& isa, std::size_t query, std::size_t n) noexcept {
    float* row = out + query * out_stride;
    isa.scale(row, 1.0f / softmax[query].sum, n, row);
    return row;
  }

  /// Takes in one tile of keys.
  ///   keys    panels of the tile's keys, depth head_dim    values  panels of head_dim, depth = keys of the tile
  ///   n_valid(query)  keys of the tile the query may see, from the first on
  template <typename NValid>
  void add_keys(const isa::KernelTable& isa, const float* queries, std::size_t query_stride, std::size_t n_queries,
                const isa::Panels& keys, const isa::Panels& values, float scale, NValid n_valid) noexcept {
    isa.stream_product(queries, query_stride, n_queries, keys, scores, score_stride, false);
    take_softmax(isa, n_queries, keys.n_panels * isa.panel_width, scale, n_valid);
    isa.stream_product(scores, score_stride, n_queries, values, out, out_stride, true);
  }

  /// The same for keys and values in pairs: weights are rounded to bf16 before they meet the values, the sum of the
  /// softmax is not.
  ///   queries  bf16, query_stride is even
  template <typename NValid>
  void add_pairs(const isa::KernelTable& isa, const std::uint16_t* queries, std::size_t query_stride,
                 std::size_t n_queries, const isa::Panels& keys, const isa::Panels& values, float scale,
                 NValid n_valid) noexcept {
    isa.pairs.product(queries, query_stride, n_queries, keys, scores, score_stride, false);
    const std::size_t n_padded = keys.n_panels * isa.panel_width;
    take_softmax(isa, n_queries, n_padded, scale, n_valid);
    auto* weights = reinterpret_cast<std::uint16_t*>(scores);
    for (std::size_t query = 0; query < n_queries; ++query) {
      isa.pairs.round(scores + query * score_stride, n_padded, weights + query * 2 * score_stride);
    }
    isa.pairs.product(weights, 2 * score_stride, n_queries, values, out, out_stride, true);
  }

  // Scores become weights.
  template <typename NValid>
  void take_softmax(const isa::KernelTable& isa, std::size_t n_queries, std::size_t n_padded, float scale,
                    NValid n_valid) noexcept {
    for (std::size_t query = 0; query < n_queries; ++query) {
      isa.softmax_step(scores + query * score_stride, n_valid(query), n_padded, scale, softmax[query],
                       out + query * out_stride, out_stride);
    }
  }
};

}  // namespace qasr::cpu
