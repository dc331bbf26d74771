// Matrix products over panels, for any vector type V. One register tile serves both regimes: few rows, where the panels
// stream from memory and several are in flight to hide the latency of a multiply-add chain, and many rows, where blocks
// of both factors sit in cache. Sums start at zero and run in ascending depth in both, so results are bit-identical.
#pragma once

#include "backend/cpu/isa/kernel_table.h"

namespace qasr::cpu::isa {
namespace {

// How a tile takes its operands, one step of the depth at a time. f32 rows; weights f32 as stored, bf16 widened
// exactly.
template <typename V, typename W>
struct FloatSteps {
  using Vector = V;
  using X = float;
  using Weight = W;
  using Operand = typename V::F;
  static void load(const float* from, Operand* to) {
#pragma GCC unroll 4
    for (int v = 0; v < V::kPanelVectors; ++v) to[v] = V::load(from + v * V::kLanes);
  }
  static void load(const std::uint16_t* from, Operand* to) {
#pragma GCC unroll 4
    for (int v = 0; v < V::kPanelVectors; v += 2) V::load_bf16_pair(from + v * V::kLanes, to[v], to[v + 1]);
  }
  static Operand broadcast(const X* from) { return V::broadcast(from); }
  static Operand multiply_add(Operand x, Operand w, Operand sum) { return V::fma(x, w, sum); }
};

// Panels side by side for a tile of R rows: as many as leave room in the register file.
template <typename V, int R>
constexpr int panels_in_flight() {
  const int fit = V::kAccumulators / (R * V::kPanelVectors);
  return fit >= 4 ? 4 : (fit >= 2 ? 2 : 1);
}

// How far ahead of its use a panel that streams from memory is asked for: the hardware's own prefetch stops at every
// 4 KiB page, and one panel under a tile of several rows moves too slowly to start it again in time. Several panels in
// flight keep it busy: there, asking costs more than it brings.
constexpr std::size_t kPrefetchBytes = 2048;

// c[R][P * NR] (+)= x[R][n_steps] * b. The accumulators stay in registers: R * P * kPanelVectors <= kAccumulators;
// without the pragmas GCC unrolls the loops over them too late to keep them there. Clang unrolls them by itself.
template <typename Steps, int R, int P, bool kPrefetch>
inline __attribute__((always_inline)) void tile(const typename Steps::X* x, std::size_t ldx,
                                                const typename Steps::Weight* b, std::size_t panel_stride,
                                                std::size_t n_steps, float* c, std::size_t ldc, bool accumulate) {
  using V = typename Steps::Vector;
  using F = typename V::F;
  using W = typename Steps::Weight;
  using Operand = typename Steps::Operand;
  constexpr int kVectors = P * V::kPanelVectors, kLanes = V::kLanes;
  constexpr std::size_t kWidth = static_cast<std::size_t>(V::kPanelVectors) * kLanes;
  F sum[R][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? V::load(c + static_cast<std::size_t>(r) * ldc + v * kLanes) : V::zero();
    }
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < n_steps; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      Operand w[V::kPanelVectors];
      const W* row = b + static_cast<std::size_t>(p) * panel_stride + k * kWidth;
      if constexpr (kPrefetch) __builtin_prefetch(row + kPrefetchBytes / sizeof(W));
      Steps::load(row, w);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Operand value = Steps::broadcast(x + static_cast<std::size_t>(r) * ldx + k);
#pragma GCC unroll 4
        for (int v = 0; v < V::kPanelVectors; ++v) {
          F& to = sum[r][p * V::kPanelVectors + v];
          to = Steps::multiply_add(value, w[v], to);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) V::store(c + static_cast<std::size_t>(r) * ldc + v * kLanes, sum[r][v]);
  }
}

// The tile for a number of rows known at run time, 1 <= rows <= R. Each height is a function of its own, so that the
// compiler allocates registers for one at a time.
template <typename Steps, int R, int P, bool kPrefetch>
__attribute__((noinline)) void tile_of(std::size_t rows, const typename Steps::X* x, std::size_t ldx,
                                       const typename Steps::Weight* b, std::size_t panel_stride, std::size_t n_steps,
                                       float* c, std::size_t ldc, bool accumulate) {
  if constexpr (R > 1) {
    if (rows < static_cast<std::size_t>(R)) {
      return tile_of<Steps, R - 1, P, kPrefetch>(rows, x, ldx, b, panel_stride, n_steps, c, ldc, accumulate);
    }
  }
  tile<Steps, R, P, kPrefetch>(x, ldx, b, panel_stride, n_steps, c, ldc, accumulate);
}

// The panels of a product as its steps take them. Strides are in elements of Steps::Weight.
template <typename Steps>
struct StepPanels {
  const typename Steps::Weight* data;
  std::size_t n_panels, n_steps, panel_stride;
};

// A tile of R rows across all panels, several panels at a time.
template <typename Steps, int R>
__attribute__((noinline)) void stream_rows(std::size_t rows, const typename Steps::X* x, std::size_t ldx,
                                           const StepPanels<Steps>& panels, float* c, std::size_t ldc,
                                           bool accumulate) {
  using V = typename Steps::Vector;
  if constexpr (R > 1) {
    if (rows < static_cast<std::size_t>(R)) {
      return stream_rows<Steps, R - 1>(rows, x, ldx, panels, c, ldc, accumulate);
    }
  }
  constexpr int kPanels = panels_in_flight<V, R>();
  constexpr std::size_t kWidth = static_cast<std::size_t>(V::kPanelVectors) * V::kLanes;
  std::size_t panel = 0;
  for (; panel + kPanels <= panels.n_panels; panel += kPanels) {
    tile<Steps, R, kPanels, kPanels == 1>(x, ldx, panels.data + panel * panels.panel_stride, panels.panel_stride,
                                          panels.n_steps, c + panel * kWidth, ldc, accumulate);
  }
  if constexpr (kPanels > 1) {
    for (; panel < panels.n_panels; ++panel) {
      tile<Steps, R, 1, false>(x, ldx, panels.data + panel * panels.panel_stride, panels.panel_stride, panels.n_steps,
                               c + panel * kWidth, ldc, accumulate);
    }
  }
}

// Tiles of equal height: 8 rows as 4 + 4 rather than 6 + 2.
inline std::size_t even_height(std::size_t rows, std::size_t most) {
  const std::size_t n_tiles = (rows + most - 1) / most;
  return (rows + n_tiles - 1) / n_tiles;
}

// More rows than a tile holds: panel by panel, so that the second row tile finds the panel in cache.
template <typename Steps>
void stream_panels(const typename Steps::X* x, std::size_t ldx, std::size_t rows, const StepPanels<Steps>& panels,
                   float* c, std::size_t ldc, bool accumulate) {
  using V = typename Steps::Vector;
  constexpr std::size_t kRows = V::kTileRows, kWidth = static_cast<std::size_t>(V::kPanelVectors) * V::kLanes;
  if (rows <= kRows) return stream_rows<Steps, V::kTileRows>(rows, x, ldx, panels, c, ldc, accumulate);
  const std::size_t height = even_height(rows, kRows);
  for (std::size_t panel = 0; panel < panels.n_panels; ++panel) {
    const typename Steps::Weight* b = panels.data + panel * panels.panel_stride;
    for (std::size_t row = 0; row < rows; row += height) {
      const std::size_t count = rows - row < height ? rows - row : height;
      const auto tile_rows = row == 0 ? tile_of<Steps, V::kTileRows, 1, true> : tile_of<Steps, V::kTileRows, 1, false>;
      tile_rows(count, x + row * ldx, ldx, b, 0, panels.n_steps, c + row * ldc + panel * kWidth, ldc, accumulate);
    }
  }
}

template <typename V>
void stream_product(const float* x, std::size_t ldx, std::size_t rows, const Panels& panels, float* c, std::size_t ldc,
                    bool accumulate) noexcept {
  const auto stream = [&](auto steps) {
    using Steps = decltype(steps);
    const StepPanels<Steps> of_steps{static_cast<const typename Steps::Weight*>(panels.data), panels.n_panels,
                                     panels.depth, panels.panel_stride};
    stream_panels<Steps>(x, ldx, rows, of_steps, c, ldc, accumulate);
  };
  if (panels.is_bf16) {
    stream(FloatSteps<V, std::uint16_t>{});
  } else {
    stream(FloatSteps<V, float>{});
  }
}

template <typename V>
void widen(const std::uint16_t* from, std::size_t n, float* to) noexcept {
  for (std::size_t i = 0; i < n; i += 2 * V::kLanes) {
    typename V::F low, high;
    V::load_bf16_pair(from + i, low, high);
    V::store(to + i, low);
    V::store(to + i + V::kLanes, high);
  }
}

// A row stride that is no power of two, so that the rows of a tile do not compete for one set of the cache.
template <typename V>
constexpr std::size_t row_scratch_stride() {
  return V::kDepthBlock + 16;
}

// Columns [begin, begin + count) of every row, side by side.
inline void copy_rows(const RowSegments& rows, std::size_t begin, std::size_t count, float* to, std::size_t stride) {
  for (std::size_t row = 0; row < rows.n_rows; ++row, to += stride) {
    const float* const* segments = rows.segments + row * rows.n_segments;
    if (rows.segment_length == 1) {  // the first convolution: nine single samples
      for (std::size_t i = 0; i < count; ++i) to[i] = *segments[begin + i];
      continue;
    }
    std::size_t segment = begin / rows.segment_length, offset = begin % rows.segment_length;
    for (std::size_t done = 0; done < count; offset = 0, ++segment) {
      const std::size_t left = rows.segment_length - offset, length = left < count - done ? left : count - done;
      __builtin_memcpy(to + done, segments[segment] + offset, length * sizeof(float));
      done += length;
    }
  }
}

template <typename V>
void blocked_product(const RowSegments& rows, const Panels& panels, float* row_scratch, float* panel_scratch, float* c,
                     std::size_t ldc) noexcept {
  constexpr std::size_t kWidth = static_cast<std::size_t>(V::kPanelVectors) * V::kLanes;
  constexpr std::size_t kRows = V::kTileRows, kStride = row_scratch_stride<V>();
  if (rows.n_rows == 0) return;
  const std::size_t height = even_height(rows.n_rows, kRows);
  for (std::size_t begin = 0; begin < panels.depth; begin += V::kDepthBlock) {
    const std::size_t left = panels.depth - begin, depth = left < V::kDepthBlock ? left : V::kDepthBlock;
    copy_rows(rows, begin, depth, row_scratch, kStride);
    for (std::size_t panel = 0; panel < panels.n_panels; ++panel) {
      const std::size_t at = panel * panels.panel_stride + begin * kWidth;
      const float* b = static_cast<const float*>(panels.data) + at;
      if (panels.is_bf16) {
        widen<V>(static_cast<const std::uint16_t*>(panels.data) + at, depth * kWidth, panel_scratch);
        b = panel_scratch;
      }
      for (std::size_t row = 0; row < rows.n_rows; row += height) {
        const std::size_t count = rows.n_rows - row < height ? rows.n_rows - row : height;
        tile_of<FloatSteps<V, float>, V::kTileRows, 1, false>(count, row_scratch + row * kStride, kStride, b, 0, depth,
                                                              c + row * ldc + panel * kWidth, ldc, begin > 0);
      }
    }
  }
}

}  // namespace
}  // namespace qasr::cpu::isa
