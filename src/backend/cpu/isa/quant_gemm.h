// Products of quantised weights and activations, for any vector type V. Per block of 32 an exact integer dot product,
// then y = fma(float(dot), activation scale * weight scale, y) in ascending order of blocks, and for 4-bit weights
// y = fma(activation sum, bias, y) after each group: the same operations on the same numbers whatever the number of
// rows, so a row's result does not depend on its company.
//
// V adds to what gemm.h needs: X (one quantised activation), W (weights of kLanes features at kDepthGroup depths in the
// form that dot takes), kRowGroup (rows whose products one dot adds up: 1 or 2), Broadcast (activations of so many
// rows), I (kLanes integer sums of each of them), kDotsFromMemory (a dot can broadcast activations by itself), and the
// functions used below.
#pragma once

#include "backend/cpu/isa/quant_layout.h"

namespace qasr::cpu::isa {
namespace {

template <typename V>
constexpr std::size_t quant_width() {
  return static_cast<std::size_t>(V::kPanelVectors) * V::kLanes;
}

template <typename V>
constexpr int quant_steps() {
  return static_cast<int>(kBlock) / V::kDepthGroup;
}

// Blocks whose unpacked weights fit half of a small L1 cache together with the rows they meet.
constexpr std::size_t kChunkBlocks = 16, kShortChunkBlocks = 4;
constexpr std::size_t kLineBytes = 64;
// Tiles of up to so many rows wait for memory: fewer instructions let the processor look further ahead. Larger ones
// share a broadcast among the vectors of a panel, which takes fewer loads.
constexpr int kWaitingRows = 2;

// What a tile asks memory for while it runs.
struct Prefetch {
  const std::byte* from = nullptr;
  std::size_t lines_per_block = 0;
};

// ---- weights as stored, and unpacked to scratch
// ----------------------------------------------------------------------

template <typename V>
struct Q8Weights {
  static constexpr std::size_t kGroupBlocks = 1;
  static constexpr bool kHasBias = false, kOffset = V::kOffsetWeights;
  static constexpr std::size_t kHeaderBytes = group_header_bytes(QuantFormat::kQ8, quant_width<V>());
  static constexpr std::size_t kBlockBytes = block_bytes(QuantFormat::kQ8, quant_width<V>());

  static typename V::W load(const std::byte* block, int step, int v) {
    constexpr std::size_t kBytes = static_cast<std::size_t>(V::kLanes) * V::kDepthGroup;
    return V::load_bytes(block + static_cast<std::size_t>(step * V::kPanelVectors + v) * kBytes);
  }
  static typename V::F scale(const std::byte* header, int v) {
    return V::load_f16(reinterpret_cast<const std::uint16_t*>(header) + v * V::kLanes);
  }
  static typename V::F bias(const std::byte*, int) { return V::zero(); }
};

template <typename V, int kBlocks>
struct Q4Weights {
  static constexpr std::size_t kGroupBlocks = kBlocks;
  static constexpr bool kHasBias = true, kOffset = false;
  static constexpr QuantFormat kFormat = kBlocks == 2 ? QuantFormat::kQ4G64 : QuantFormat::kQ4G32;
  static constexpr std::size_t kHeaderBytes = group_header_bytes(kFormat, quant_width<V>());
  static constexpr std::size_t kBlockBytes = block_bytes(kFormat, quant_width<V>());

  static typename V::W load(const std::byte* block, int step, int v) {
    constexpr std::size_t kBytes = static_cast<std::size_t>(V::kLanes) * V::kDepthGroup;
    constexpr int kHalf = quant_steps<V>() / 2;
    const std::byte* from = block + static_cast<std::size_t>(step % kHalf * V::kPanelVectors + v) * kBytes;
    return step < kHalf ? V::load_low_nibbles(from) : V::load_high_nibbles(from);
  }
  static typename V::F scale(const std::byte* header, int v) {
    return V::load_bf16(reinterpret_cast<const std::uint16_t*>(header) + v * V::kLanes);
  }
  static typename V::F bias(const std::byte* header, int v) {
    return V::load_bf16(reinterpret_cast<const std::uint16_t*>(header) + (V::kPanelVectors + v) * V::kLanes);
  }
};

// A chunk of a panel after unpacking: scales (and biases) as f32, weights as the dot product takes them.
template <typename V, typename Stored>
struct Unpacked {
  static constexpr std::size_t kGroupBlocks = Stored::kGroupBlocks;
  static constexpr bool kHasBias = Stored::kHasBias, kOffset = Stored::kOffset;
  static constexpr std::size_t kHeaderBytes = quant_width<V>() * sizeof(float) * (kHasBias ? 2 : 1);
  static constexpr std::size_t kBlockBytes =
      static_cast<std::size_t>(quant_steps<V>()) * V::kPanelVectors * sizeof(typename V::W);

  static typename V::W load(const std::byte* block, int step, int v) {
    return V::load_w(block + static_cast<std::size_t>(step * V::kPanelVectors + v) * sizeof(typename V::W));
  }
  static typename V::F scale(const std::byte* header, int v) {
    return V::load(reinterpret_cast<const float*>(header) + v * V::kLanes);
  }
  static typename V::F bias(const std::byte* header, int v) {
    return V::load(reinterpret_cast<const float*>(header) + (V::kPanelVectors + v) * V::kLanes);
  }
};

// Groups one after the other.
template <typename Weights>
constexpr std::size_t chunk_bytes(std::size_t n_blocks) {
  return n_blocks / Weights::kGroupBlocks * (Weights::kHeaderBytes + Weights::kGroupBlocks * Weights::kBlockBytes);
}

template <typename V, typename Stored>
void unpack_chunk(const std::byte* from, std::size_t n_blocks, std::byte* to) {
  using To = Unpacked<V, Stored>;
  for (std::size_t group = 0; group < n_blocks / Stored::kGroupBlocks; ++group) {
    float* header = reinterpret_cast<float*>(to);
    for (int v = 0; v < V::kPanelVectors; ++v) {
      V::store(header + v * V::kLanes, Stored::scale(from, v));
      if constexpr (Stored::kHasBias) V::store(header + (V::kPanelVectors + v) * V::kLanes, Stored::bias(from, v));
    }
    from += Stored::kHeaderBytes;
    to += To::kHeaderBytes;
    for (std::size_t block = 0; block < Stored::kGroupBlocks; ++block) {
      for (int step = 0; step < quant_steps<V>(); ++step) {
        for (int v = 0; v < V::kPanelVectors; ++v) {
          V::store_w(to, Stored::load(from, step, v));
          to += sizeof(typename V::W);
        }
      }
      from += Stored::kBlockBytes;
    }
  }
}

// ---- the register tile
// -----------------------------------------------------------------------------------------------

// Activations from element `at` on of V::kRowGroup rows.
template <typename V>
inline __attribute__((always_inline)) typename V::Broadcast load_activations(const std::byte* const* rows,
                                                                             std::size_t at) {
  const auto* x = reinterpret_cast<const typename V::X*>(rows[0]) + at;
  if constexpr (V::kRowGroup == 2) {
    return V::broadcast_activations(x, reinterpret_cast<const typename V::X*>(rows[1]) + at);
  } else {
    return V::broadcast_activations(x);
  }
}

// The sums of row `row` of V::kRowGroup.
template <typename V>
inline __attribute__((always_inline)) typename V::F row_sums(const typename V::I& dot, int row) {
  if constexpr (V::kRowGroup == 2) {
    return V::sum_to_float(dot, row);
  } else {
    return V::sum_to_float(dot);
  }
}

// Blocks [begin, begin + n) of R records.
struct RecordRange {
  const RecordLayout* layout;
  std::size_t begin, n;
};

// c[R][NR] (+)= records * weights. Integer sums of a block always stay in registers; the f32 sums do where they fit,
// else in the tile of c, which is in L1.
template <typename V, typename Weights, int R>
inline __attribute__((always_inline)) void quant_tile(const std::byte* const* records, std::size_t record_stride,
                                                      const RecordRange& range, const std::byte* weights,
                                                      Prefetch prefetch, float* c, std::size_t ldc, bool accumulate) {
  using F = typename V::F;
  constexpr int kVectors = V::kPanelVectors, kLanes = V::kLanes, kSteps = quant_steps<V>();
  constexpr int kRowGroup = V::kRowGroup, kRowGroups = (R + kRowGroup - 1) / kRowGroup;
  static_assert(kRowGroup == 1 || !Weights::kOffset);
  constexpr bool kSumsInRegisters = 2 * R * kVectors + V::kQuantTemporaries <= V::kRegisters;
  const std::byte* row[kRowGroups * kRowGroup];  // an odd row counts as its own neighbour
#pragma GCC unroll 16
  for (int r = 0; r < kRowGroups * kRowGroup; ++r) {
    row[r] = records[static_cast<std::size_t>(r < R ? r : R - 1) * record_stride];
  }
  const std::size_t scale_offset = range.layout->scale_offset, sum_offset = range.layout->sum_offset;
  const std::size_t correction_offset = range.layout->correction_offset;

  F sum[R][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* at = c + static_cast<std::size_t>(r) * ldc + v * kLanes;
      if constexpr (kSumsInRegisters) {
        sum[r][v] = accumulate ? V::load(at) : V::zero();
      } else if (!accumulate) {
        V::store(at, V::zero());
      }
    }
  }
  const auto add = [&](int r, int v, F value, F factor) {
    if constexpr (kSumsInRegisters) {
      sum[r][v] = V::fma(value, factor, sum[r][v]);
    } else {
      float* at = c + static_cast<std::size_t>(r) * ldc + v * kLanes;
      V::store(at, V::fma(value, factor, V::load(at)));
    }
  };

  for (std::size_t done = 0; done < range.n; done += Weights::kGroupBlocks) {
    const std::byte* header = weights;
    weights += Weights::kHeaderBytes;
#pragma GCC unroll 2
    for (std::size_t in_group = 0; in_group < Weights::kGroupBlocks; ++in_group, weights += Weights::kBlockBytes) {
      const std::size_t block = range.begin + done + in_group;
      for (std::size_t line = 0; line < prefetch.lines_per_block; ++line, prefetch.from += kLineBytes) {
        __builtin_prefetch(prefetch.from);
      }
      typename V::I dot[kRowGroups][kVectors];
#pragma GCC unroll 16
      for (int group = 0; group < kRowGroups; ++group) {
        typename V::I start;
        if constexpr (Weights::kOffset) {
          start = V::broadcast_sum(reinterpret_cast<const std::int32_t*>(row[group] + correction_offset) + block);
        } else {
          start = V::zero_sum();
        }
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) dot[group][v] = start;
      }
#pragma GCC unroll 32
      for (int step = 0; step < kSteps; ++step) {
        typename V::W w[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) w[v] = Weights::load(weights, step, v);
#pragma GCC unroll 16
        for (int group = 0; group < kRowGroups; ++group) {
          const std::size_t at = block * kBlock + static_cast<std::size_t>(step * V::kDepthGroup);
          if constexpr (V::kDotsFromMemory && R <= kWaitingRows) {
            const auto* x = reinterpret_cast<const typename V::X*>(row[group]) + at;
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) V::dot_from(dot[group][v], w[v], x);
          } else {
            const typename V::Broadcast x = load_activations<V>(row + group * kRowGroup, at);
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) V::dot(dot[group][v], w[v], x);
          }
        }
      }
      F weight_scale[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) weight_scale[v] = Weights::scale(header, v);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const F scale = V::broadcast(reinterpret_cast<const float*>(row[r] + scale_offset) + block);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          add(r, v, row_sums<V>(dot[r / kRowGroup][v], r % kRowGroup), V::mul(scale, weight_scale[v]));
        }
      }
    }
    if constexpr (Weights::kHasBias) {
      const std::size_t block = range.begin + done;
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const float* sums = reinterpret_cast<const float*>(row[r] + sum_offset) + block;
        const F group_sum =
            Weights::kGroupBlocks == 2 ? V::add(V::broadcast(sums), V::broadcast(sums + 1)) : V::broadcast(sums);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) add(r, v, group_sum, Weights::bias(header, v));
      }
    }
  }
  if constexpr (kSumsInRegisters) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) V::store(c + static_cast<std::size_t>(r) * ldc + v * kLanes, sum[r][v]);
    }
  }
}

// The tile for a number of rows known at run time, 1 <= rows <= R; each height is a function of its own.
template <typename V, typename Weights, int R>
__attribute__((noinline)) void quant_tile_of(std::size_t rows, const std::byte* const* records,
                                             std::size_t record_stride, const RecordRange& range,
                                             const std::byte* weights, Prefetch prefetch, float* c, std::size_t ldc,
                                             bool accumulate) {
  if constexpr (R > 1) {
    if (rows < static_cast<std::size_t>(R)) {
      return quant_tile_of<V, Weights, R - 1>(rows, records, record_stride, range, weights, prefetch, c, ldc,
                                              accumulate);
    }
  }
  quant_tile<V, Weights, R>(records, record_stride, range, weights, prefetch, c, ldc, accumulate);
}

// ---- the product
// -----------------------------------------------------------------------------------------------------

// Row tiles of equal height.
struct RowTiles {
  std::size_t count, height;

  RowTiles(std::size_t rows, std::size_t most) : count((rows + most - 1) / most), height((rows + count - 1) / count) {}
};

// All row tiles over one chunk of one panel.
//   next  what is needed after it and still in memory, of `next_bytes`
template <typename V, typename Weights>
void quant_row_tiles(const QuantRows& rows, const RowTiles& tiles, std::size_t segment, const RecordRange& range,
                     const std::byte* weights, const std::byte* next, std::size_t next_bytes, float* c, std::size_t ldc,
                     bool accumulate) {
  // The tiles ask for the next chunk while they work on this one, evenly, so that memory is never idle.
  const std::size_t tile_blocks = tiles.count * range.n, n_lines = (next_bytes + kLineBytes - 1) / kLineBytes;
  Prefetch prefetch{next, (n_lines + tile_blocks - 1) / tile_blocks};
  const std::byte* end = next + next_bytes;
  for (std::size_t row = 0; row < rows.n_rows; row += tiles.height) {
    const std::size_t count = rows.n_rows - row < tiles.height ? rows.n_rows - row : tiles.height;
    const std::byte* const* records = rows.records + row * rows.n_segments + segment;
    quant_tile_of<V, Weights, V::kQuantRows>(count, records, rows.n_segments, range, weights, prefetch, c + row * ldc,
                                             ldc, accumulate);
    prefetch.from += prefetch.lines_per_block * range.n * kLineBytes;
    if (prefetch.from >= end) prefetch.lines_per_block = 0;
  }
}

template <typename V, typename Stored>
void quant_panels(const QuantRows& rows, const QuantPanels& panels, std::byte* scratch, float* c, std::size_t ldc) {
  using Scratch = Unpacked<V, Stored>;
  const RowTiles tiles(rows.n_rows, V::kQuantRows);
  const bool unpacks = V::kWidensWeights && tiles.count >= 2;  // taking 4-bit weights apart again costs next to nothing
  // One tile of rows reads a panel once, from memory, in one go; more stay on a chunk while it is in L1. Two are hardly
  // slower than memory: short chunks keep it busy.
  const std::size_t chunk =
      tiles.count == 1 ? rows.layout.n_blocks : (tiles.count == 2 ? kShortChunkBlocks : kChunkBlocks);
  for (std::size_t panel = 0; panel < panels.n_panels; ++panel, c += quant_width<V>()) {
    const std::byte* weights = panels.data + panel * panels.panel_bytes;
    bool accumulate = false;
    for (std::size_t segment = 0; segment < rows.n_segments; ++segment) {
      for (std::size_t begin = 0; begin < rows.layout.n_blocks; begin += chunk, accumulate = true) {
        const std::size_t left = rows.layout.n_blocks - begin;
        const RecordRange range{&rows.layout, begin, left < chunk ? left : chunk};
        const std::size_t stored_bytes = chunk_bytes<Stored>(range.n);
        const std::byte* next = weights + (tiles.count == 1 ? panels.ahead_bytes : stored_bytes);
        const std::size_t next_bytes = next == weights ? 0 : stored_bytes;
        if (unpacks) {
          unpack_chunk<V, Stored>(weights, range.n, scratch);
          quant_row_tiles<V, Scratch>(rows, tiles, segment, range, scratch, next, next_bytes, c, ldc, accumulate);
        } else {
          quant_row_tiles<V, Stored>(rows, tiles, segment, range, weights, next, next_bytes, c, ldc, accumulate);
        }
        weights += stored_bytes;
      }
    }
  }
}

template <typename V>
void quant_product(const QuantRows& rows, const QuantPanels& panels, std::byte* scratch, float* c,
                   std::size_t ldc) noexcept {
  if (rows.n_rows == 0) return;
  switch (panels.format) {
    case QuantFormat::kQ8:
      return quant_panels<V, Q8Weights<V>>(rows, panels, scratch, c, ldc);
    case QuantFormat::kQ4G32:
      return quant_panels<V, Q4Weights<V, 1>>(rows, panels, scratch, c, ldc);
    case QuantFormat::kQ4G64:
      return quant_panels<V, Q4Weights<V, 2>>(rows, panels, scratch, c, ldc);
  }
}

template <typename V>
constexpr std::size_t quant_scratch_bytes() {
  constexpr std::size_t kQ8 = chunk_bytes<Unpacked<V, Q8Weights<V>>>(kChunkBlocks);
  constexpr std::size_t kQ4 = chunk_bytes<Unpacked<V, Q4Weights<V, 1>>>(kChunkBlocks);
  return kQ8 > kQ4 ? kQ8 : kQ4;
}

// ---- activations
// -----------------------------------------------------------------------------------------------------

// One block of 32; definition: quantize_activations in tensor/quant_blocks.h.
template <typename V>
inline void quantize_block(const float* x, typename V::X* q, float& scale, float& sum, std::int32_t& correction) {
  constexpr int kVectors = static_cast<int>(kBlock) / V::kLanes;
  constexpr std::int32_t kInfinity = 0x7f800000;
  constexpr float kMaxQ8 = 127.0f, kSmallest = 1e-30f;
  typename V::F value[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) value[v] = V::load(x + v * V::kLanes);
  typename V::F largest = V::abs(value[0]);
  // Magnitudes order like their bits, with infinities and NaNs last.
#pragma GCC unroll 8
  for (int v = 1; v < kVectors; ++v) largest = V::max_bits(largest, V::abs(value[v]));
  const std::int32_t bits = V::reduce_max_bits(largest);
  float max_abs;
  __builtin_memcpy(&max_abs, &bits, sizeof(max_abs));
  const bool is_finite = bits < kInfinity, is_zero = max_abs < kSmallest;
  const float inverse = is_finite && !is_zero ? kMaxQ8 / max_abs : 0.0f;
  scale = is_finite ? (is_zero ? 0.0f : max_abs / kMaxQ8) : __builtin_nanf("");
  const std::int32_t total = V::store_rounded(value, V::set(inverse), q);
  sum = scale * static_cast<float>(total);
  correction = -128 * total;
}

template <typename V>
void quantize_row(const float* x, std::size_t n, std::size_t first_block, std::size_t n_blocks,
                  const RecordLayout& layout, std::byte* record) noexcept {
  auto* q = reinterpret_cast<typename V::X*>(record) + first_block * kBlock;
  auto* scale = reinterpret_cast<float*>(record + layout.scale_offset) + first_block;
  auto* sum = reinterpret_cast<float*>(record + layout.sum_offset) + first_block;
  auto* correction = reinterpret_cast<std::int32_t*>(record + layout.correction_offset) + first_block;
  for (std::size_t block = 0; block < n_blocks; ++block) {
    const std::size_t begin = block * kBlock;
    alignas(64) float padded[kBlock];
    const float* values = x + begin;
    if (begin + kBlock > n) {
      const std::size_t count = begin < n ? n - begin : 0;
      for (std::size_t i = 0; i < kBlock; ++i) padded[i] = i < count ? x[begin + i] : 0.0f;
      values = padded;
    }
    quantize_block<V>(values, q + begin, scale[block], sum[block], correction[block]);
  }
}

}  // namespace
}  // namespace qasr::cpu::isa
