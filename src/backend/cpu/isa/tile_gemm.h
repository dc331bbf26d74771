// Products of quantised weights and activations on a processor's tile registers, whose one instruction gives the
// integer sums of a block for 16 rows and 16 features. The f32 arithmetic around them is that of quant_gemm.h,
// operation by operation, so the bits are the same.
//
// T is the tiles (amx_tiles.h). V is a vector type as quant_gemm.h wants it, with 16 lanes and groups of four depths,
// that has also signed_bytes (stored 8-bit weights as signed ones) and load_sum (kLanes integer sums).
#pragma once

#include "backend/cpu/isa/quant_gemm.h"

namespace qasr::cpu::isa {
namespace {

constexpr std::size_t kTileRows = 16, kTileFeatures = 16;
// Blocks whose sums tiles leave in memory before vectors take them on. The two take turns: mixed, they are no faster
// than the one after the other, at times half as fast (docs/performance.md).
constexpr std::size_t kTurnBlocks = 8;

// A chunk of one panel and what meets it, in L1.
template <typename V>
struct TileScratch {
  alignas(64) std::byte weights[kChunkBlocks][V::kPanelVectors][kBlock * kTileFeatures];
  float scales[kChunkBlocks][V::kPanelVectors][kTileFeatures];
  float biases[kChunkBlocks][V::kPanelVectors][kTileFeatures];  // of a group, at the place of its last block
  alignas(64) std::int32_t sums[kTurnBlocks][kTileRows][kTileFeatures];
  // Rows that are not equally far apart, or fewer than a tile takes.
  alignas(64) std::byte rows[kTileRows][kChunkBlocks * kBlock];
  float row_scales[kTileRows][kChunkBlocks], row_sums[kTileRows][kChunkBlocks];
  alignas(64) float no_row[kTileFeatures];  // where the sums of rows go that there are not
};

// The activations of a tile over a chunk, and where its results are.
struct TileRows {
  const std::byte* activations;
  std::size_t stride;  // bytes
  const float *scales, *sums;
  std::size_t block_stride;  // floats from a row's scales to the next row's
};

// The rows of the tile after this one, which are asked for while vectors work, part by part: out of L2 they would keep
// the tiles waiting.
struct NextRows {
  const std::byte* const* records;
  std::size_t stride, count;
  std::size_t at, scale_at;  // bytes of a record
  std::size_t n_parts = 0;   // of half a row each, asked for so far

  void ask() {
    const std::size_t row = n_parts / 2;
    if (row >= count) return;
    const std::byte* record = records[row * stride];
    const std::byte* from = record + at + n_parts % 2 * (kChunkBlocks * kBlock / 2);
    for (std::size_t line = 0; line < kChunkBlocks * kBlock / 2; line += kLineBytes) __builtin_prefetch(from + line);
    __builtin_prefetch(record + scale_at);
    ++n_parts;
  }
};

// ---- into scratch
// ----------------------------------------------------------------------------------------------------

template <typename V, typename Stored>
void unpack_tiles(const std::byte* from, std::size_t n_blocks, TileScratch<V>& to) {
  constexpr std::size_t kStepBytes = static_cast<std::size_t>(V::kLanes) * V::kDepthGroup;
  for (std::size_t block = 0; block < n_blocks; block += Stored::kGroupBlocks) {
    const std::byte* header = from;
    from += Stored::kHeaderBytes;
    for (std::size_t in_group = 0; in_group < Stored::kGroupBlocks; ++in_group, from += Stored::kBlockBytes) {
      for (int v = 0; v < V::kPanelVectors; ++v) {
        V::store(to.scales[block + in_group][v], Stored::scale(header, v));
        if constexpr (Stored::kHasBias) V::store(to.biases[block + in_group][v], Stored::bias(header, v));
        for (int step = 0; step < quant_steps<V>(); ++step) {
          typename V::W w = Stored::load(from, step, v);
          if constexpr (Stored::kOffset) w = V::signed_bytes(w);
          V::store_w(to.weights[block + in_group][v] + static_cast<std::size_t>(step) * kStepBytes, w);
        }
      }
    }
  }
}

inline bool equally_apart(const std::byte* const* records, std::size_t stride, std::size_t count) {
  const std::ptrdiff_t step = records[stride] - records[0];
  bool equal = step > 0;
  for (std::size_t row = 2; row < count; ++row) equal &= records[row * stride] - records[(row - 1) * stride] == step;
  return equal;
}

// `count` records from the first on as the rows of a tile.
template <typename V>
TileRows tile_rows(const std::byte* const* records, std::size_t record_stride, std::size_t count,
                   const RecordRange& range, TileScratch<V>& scratch) {
  const std::size_t at = range.begin * kBlock;
  const std::size_t scale_at = range.layout->scale_offset + range.begin * sizeof(float);
  const std::size_t sum_at = range.layout->sum_offset + range.begin * sizeof(float);
  if (count == kTileRows && equally_apart(records, record_stride, count)) {
    const auto step = static_cast<std::size_t>(records[record_stride] - records[0]);
    return {records[0] + at, step, reinterpret_cast<const float*>(records[0] + scale_at),
            reinterpret_cast<const float*>(records[0] + sum_at), step / sizeof(float)};
  }
  for (std::size_t row = 0; row < kTileRows; ++row) {
    const std::byte* record = records[(row < count ? row : 0) * record_stride];  // any row where there is none
    __builtin_memcpy(scratch.rows[row], record + at, range.n * kBlock);
    __builtin_memcpy(scratch.row_scales[row], record + scale_at, range.n * sizeof(float));
    __builtin_memcpy(scratch.row_sums[row], record + sum_at, range.n * sizeof(float));
  }
  return {scratch.rows[0], sizeof(scratch.rows[0]), scratch.row_scales[0], scratch.row_sums[0], kChunkBlocks};
}

// ---- a tile
// ----------------------------------------------------------------------------------------------------------

// c[16][16] (+)= rows * weights of vector v over n blocks.
template <typename V, typename T, typename Stored>
struct SumTiles {
  using F = typename V::F;

  const TileRows& rows;
  TileScratch<V>& scratch;
  int v;
  Prefetch& prefetch;
  NextRows& next;
  F sums[kTileRows];

  // Two blocks in a row use tiles of their own.
  template <int kSlot>
  inline __attribute__((always_inline)) void multiply(std::size_t block, std::size_t turn) {
    constexpr int kActivations = 4 + kSlot, kWeights = 6 + kSlot;
    T::template load<kActivations>(rows.activations + block * kBlock, rows.stride);
    T::template load<kWeights>(scratch.weights[block][v], static_cast<std::size_t>(V::kLanes) * V::kDepthGroup);
    T::template zero<kSlot>();
    T::template multiply_add<kSlot, kActivations, kWeights>();
    T::template store<kSlot>(scratch.sums[turn], sizeof(scratch.sums[0][0]));
  }

  inline __attribute__((always_inline)) void add(std::size_t block, std::size_t turn) {
    for (std::size_t line = 0; line < prefetch.lines_per_block; ++line, prefetch.from += kLineBytes) {
      __builtin_prefetch(prefetch.from);
    }
    next.ask();
    const F weight_scale = V::load(scratch.scales[block][v]);
    const float* scales = rows.scales + block;
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const F scale = V::mul(V::broadcast(scales + r * rows.block_stride), weight_scale);
      sums[r] = V::fma(V::sum_to_float(V::load_sum(scratch.sums[turn][r])), scale, sums[r]);
    }
    if constexpr (Stored::kHasBias) {
      if ((block + 1) % Stored::kGroupBlocks == 0) add_bias(block);
    }
  }

  inline __attribute__((always_inline)) void add_bias(std::size_t block) {
    const F bias = V::load(scratch.biases[block][v]);
    const float* of_block = rows.sums + block;
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const float* last = of_block + r * rows.block_stride;
      const F group_sum =
          Stored::kGroupBlocks == 2 ? V::add(V::broadcast(last - 1), V::broadcast(last)) : V::broadcast(last);
      sums[r] = V::fma(group_sum, bias, sums[r]);
    }
  }

  inline __attribute__((always_inline)) void run(std::size_t n_blocks) {
    for (std::size_t begin = 0; begin < n_blocks; begin += kTurnBlocks) {
      const std::size_t count = n_blocks - begin < kTurnBlocks ? n_blocks - begin : kTurnBlocks;
      for (std::size_t turn = 0; turn < count; turn += 2) {
        multiply<0>(begin + turn, turn);
        if (turn + 1 < count) multiply<1>(begin + turn + 1, turn + 1);
      }
      for (std::size_t turn = 0; turn < count; ++turn) add(begin + turn, turn);
    }
  }
};

template <typename V, typename T, typename Stored>
__attribute__((noinline)) void sum_tile(const TileRows& rows, TileScratch<V>& scratch, std::size_t n_blocks, int v,
                                        Prefetch& prefetch, NextRows& next, std::size_t count, float* c,
                                        std::size_t ldc, bool accumulate) {
  SumTiles<V, T, Stored> tile{rows, scratch, v, prefetch, next, {}};
  const auto row_of_c = [&](std::size_t r) { return r < count ? c + r * ldc : scratch.no_row; };
#pragma GCC unroll 16
  for (std::size_t r = 0; r < kTileRows; ++r) tile.sums[r] = accumulate ? V::load(row_of_c(r)) : V::zero();
  tile.run(n_blocks);
#pragma GCC unroll 16
  for (std::size_t r = 0; r < kTileRows; ++r) V::store(row_of_c(r), tile.sums[r]);
}

// ---- the product
// -----------------------------------------------------------------------------------------------------

template <typename V, typename T, typename Stored>
void tile_panels(const QuantRows& rows, const QuantPanels& panels, TileScratch<V>& scratch, float* c, std::size_t ldc) {
  const std::size_t n_tiles = (rows.n_rows + kTileRows - 1) / kTileRows;
  for (std::size_t panel = 0; panel < panels.n_panels; ++panel, c += quant_width<V>()) {
    const std::byte* weights = panels.data + panel * panels.panel_bytes;
    bool accumulate = false;
    for (std::size_t segment = 0; segment < rows.n_segments; ++segment) {
      for (std::size_t begin = 0; begin < rows.layout.n_blocks; begin += kChunkBlocks, accumulate = true) {
        const std::size_t left = rows.layout.n_blocks - begin;
        const RecordRange range{&rows.layout, begin, left < kChunkBlocks ? left : kChunkBlocks};
        const std::size_t stored_bytes = chunk_bytes<Stored>(range.n);
        unpack_tiles<V, Stored>(weights, range.n, scratch);
        weights += stored_bytes;
        const std::size_t tile_blocks = n_tiles * V::kPanelVectors * range.n;
        // The tiles ask for the next chunk while they work on this one, evenly, as in quant_gemm.h.
        Prefetch prefetch{weights, (stored_bytes / kLineBytes + tile_blocks) / tile_blocks};
        for (std::size_t row = 0; row < rows.n_rows; row += kTileRows) {
          const std::size_t count = rows.n_rows - row < kTileRows ? rows.n_rows - row : kTileRows;
          const TileRows tile =
              tile_rows<V>(rows.records + row * rows.n_segments + segment, rows.n_segments, count, range, scratch);
          const std::size_t after = row + kTileRows < rows.n_rows ? row + kTileRows : 0;
          NextRows next{rows.records + after * rows.n_segments + segment, rows.n_segments,
                        rows.n_rows - after < kTileRows ? rows.n_rows - after : kTileRows, range.begin * kBlock,
                        range.layout->scale_offset + range.begin * sizeof(float)};
          for (int v = 0; v < V::kPanelVectors; ++v) {
            sum_tile<V, T, Stored>(tile, scratch, range.n, v, prefetch, next, count, c + row * ldc + v * V::kLanes, ldc,
                                   accumulate);
            if (prefetch.from >= weights + stored_bytes) prefetch.lines_per_block = 0;
          }
        }
      }
    }
  }
}

// As quant_product; scratch of sizeof(TileScratch<V>) bytes, aligned to 64.
template <typename V, typename T>
void tile_product(const QuantRows& rows, const QuantPanels& panels, std::byte* scratch, float* c,
                  std::size_t ldc) noexcept {
  static_assert(V::kLanes == kTileFeatures && V::kDepthGroup == 4 && sizeof(typename V::X) == 1);
  if (rows.n_rows == 0) return;
  auto& tiles = *reinterpret_cast<TileScratch<V>*>(scratch);
  T::configure(kTileRows);
  switch (panels.format) {
    case QuantFormat::kQ8:
      tile_panels<V, T, Q8Weights<V>>(rows, panels, tiles, c, ldc);
      break;
    case QuantFormat::kQ4G32:
      tile_panels<V, T, Q4Weights<V, 1>>(rows, panels, tiles, c, ldc);
      break;
    case QuantFormat::kQ4G64:
      tile_panels<V, T, Q4Weights<V, 2>>(rows, panels, tiles, c, ldc);
      break;
  }
  T::release();
}

}  // namespace
}  // namespace qasr::cpu::isa
