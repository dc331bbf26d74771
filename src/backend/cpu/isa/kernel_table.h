// The inner loops of one instruction set, as a table of functions: the only door between the CPU backend's operations
// and code compiled for a particular instruction set. Everything here is noexcept, single-threaded and allocates
// nothing.
//
// A matrix [n, k] is held in panels of `panel_width` (NR) output features, k-major inside the panel: element (feature,
// depth) of panel p is at panel[p][depth][feature - p * NR]. Features beyond n are zero. Every product is, per output
// element, one chain of multiply-adds in ascending depth that starts at zero, whatever the number of rows: so results
// do not depend on how many rows share a call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/isa/quant_layout.h"

namespace qasr::cpu::isa {

/// Panels of f32, or of bf16 interleaved so that one vector of 32-bit words holds feature i in its low half and feature
/// i + lanes in its high half (bf16_slot below).
struct Panels {
  const void* data = nullptr;
  bool is_bf16 = false;
  std::size_t n_panels = 0;
  std::size_t depth = 0;
  std::size_t panel_stride = 0;  ///< elements from one panel to the next
  bool in_pairs = false;         ///< of bf16: for PairKernels
};

/// Rows of the left factor: row r is the concatenation of n_segments arrays of segment_length floats. A dense matrix
/// has one segment per row; a convolution one per tap, pointing straight into the image.
struct RowSegments {
  const float* const* segments = nullptr;  ///< [n_rows * n_segments]
  std::size_t n_rows = 0, n_segments = 0, segment_length = 0;
};

/// What follows a product on its way from the tile of sums to the output.
struct Finish {
  const float* bias = nullptr;  ///< for the tile's first column on; readable up to whole panels; null: none
  bool gelu = false;
  bool accumulate = false;  ///< add to y instead of replacing it
};

/// Running state of one row of online softmax (arXiv:1805.02867).
struct SoftmaxRow {
  float max;  ///< of the scores so far; -inf at first
  float sum;  ///< of exp(score - max) so far
};

/// Elements that PairKernels::round takes at a time.
inline constexpr std::size_t kRoundedRun = 32;

/// Products of bf16 with bf16 in f32 sums, for processors that do two at a time. Panels hold pairs of depths: element
/// (feature, depth) of panel p is at panel[p][depth / 2][feature - p * NR][depth % 2], `depth` may be odd, and what is
/// behind it then is finite and meets a zero. A sum takes pairs in ascending depth, whatever the number of rows.
struct PairKernels {
  /// c = x * panels^T, or added to c.    x [rows, depth rounded up to even] bf16, row stride ldx (even), aligned to 4
  void (*product)(const std::uint16_t* x, std::size_t ldx, std::size_t rows, const Panels& panels, float* c,
                  std::size_t ldc, bool accumulate) noexcept = nullptr;
  /// y = x to the nearest bf16; y may begin where x does.    n  a multiple of kRoundedRun
  void (*round)(const float* x, std::size_t n, std::uint16_t* y) noexcept = nullptr;
};

struct KernelTable {
  const char* name;
  std::size_t lanes;        ///< floats in a vector
  std::size_t panel_width;  ///< NR: output features in a panel, a multiple of 2 * lanes
  std::size_t tile_rows;    ///< MR: rows the register tile holds
  std::size_t depth_block;  ///< KC: depth the blocked product works on at a time

  /// c = x * panels^T, or added to c: any number of rows, panels read once from memory and converted in registers.
  ///   x [rows, depth], row stride ldx    c [rows, n_panels * NR], row stride ldc
  void (*stream_product)(const float* x, std::size_t ldx, std::size_t rows, const Panels& panels, float* c,
                         std::size_t ldc, bool accumulate) noexcept;
  /// The same product for many rows: rows and panels are copied to scratch in blocks that stay in cache.
  ///   row_scratch    [n_rows * row_scratch_stride] f32    panel_scratch  [depth_block * NR] f32
  void (*blocked_product)(const RowSegments& rows, const Panels& panels, float* row_scratch, float* panel_scratch,
                          float* c, std::size_t ldc) noexcept;
  std::size_t row_scratch_stride;

  QuantShape quant_shape;
  std::size_t quant_tile_rows;      ///< rows the register tile of quant_product holds
  std::size_t quant_scratch_bytes;  ///< of quant_product, aligned to 64
  /// c = rows * panels^T in the arithmetic of quant_gemm.h.    c [n_rows, n_panels * NR], row stride ldc
  void (*quant_product)(const QuantRows& rows, const QuantPanels& panels, std::byte* scratch, float* c,
                        std::size_t ldc) noexcept;
  /// Rounds x [n] into n_blocks blocks of a record from first_block on; what is beyond n is zero.
  void (*quantize_row)(const float* x, std::size_t n, std::size_t first_block, std::size_t n_blocks,
                       const RecordLayout& layout, std::byte* record) noexcept;

  /// y[r][0 .. cols) = finish(c[r]); y may be c.
  void (*finish_linear)(const float* c, std::size_t ldc, std::size_t rows, std::size_t cols, const Finish& finish,
                        float* y, std::size_t ldy) noexcept;
  /// y = silu(gate) * up; panels of c alternate gate, up.    cols  valid columns of y in this tile; y may be c
  void (*finish_gate_up)(const float* c, std::size_t ldc, std::size_t rows, std::size_t cols, float* y,
                         std::size_t ldy) noexcept;

  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, std::size_t n,
                     float* y) noexcept;
  void (*rms_norm)(const float* x, const float* weight, float eps, std::size_t n, float* y) noexcept;
  /// rms_norm of a head, then the half-split rotation by cosine, sine [n / 2].
  void (*rms_norm_rope)(const float* x, const float* weight, float eps, const float* cosine, const float* sine,
                        std::size_t n, float* y) noexcept;

  /// Turns n_valid scores of a row into weights exp(score * scale - max), fills up to n_padded with zeros, updates the
  /// row's state and rescales the output [n_out] accumulated so far. n_valid 0 changes nothing but the zeros.
  void (*softmax_step)(float* scores, std::size_t n_valid, std::size_t n_padded, float scale, SoftmaxRow& state,
                       float* out, std::size_t n_out) noexcept;
  /// y = x * factor
  void (*scale)(const float* x, float factor, std::size_t n, float* y) noexcept;
  /// y = a + b
  void (*add)(const float* a, const float* b, std::size_t n, float* y) noexcept;
  /// The largest element; NaNs count as -inf.
  float (*max_element)(const float* x, std::size_t n) noexcept;

  PairKernels pairs = {};  ///< null where the instruction set has none
};

/// Where a feature's bf16 sits inside its panel row.
inline constexpr std::size_t kBf16PairHalves = 2;
constexpr std::size_t bf16_slot(std::size_t feature, std::size_t lanes) {
  const std::size_t pair = feature / (kBf16PairHalves * lanes), within = feature % (kBf16PairHalves * lanes);
  return pair * kBf16PairHalves * lanes + kBf16PairHalves * (within % lanes) + within / lanes;
}

}  // namespace qasr::cpu::isa
