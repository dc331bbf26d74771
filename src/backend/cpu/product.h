// Splits a matrix product over the thread pool and picks the regime: rows streamed past the panels while they are few,
// both blocked for the cache when they are many. Both give the same bits (isa/gemm.h).
#pragma once

#include <algorithm>
#include <cstddef>

#include "backend/cpu/context.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/quant_rows.h"

namespace qasr::cpu {

/// A finished tile of sums, handed to what follows the product.
struct SumTile {
  std::size_t row_begin, n_rows;
  std::size_t panel_begin, n_panels;
  std::size_t panel_block;  ///< index of this range of panels among all of the product
  float* sums;              ///< [n_rows, n_panels * NR], row stride `stride`; the receiver may overwrite it
  std::size_t stride;
};

/// How a product is cut into tasks: n_row_blocks x n_panel_blocks of them, in groups of row blocks, so that a thread has
/// the same rows from operation to operation (base/thread_pool.h). Inside a group neighbours share panels.
struct ProductPlan {
  bool blocked = false;
  std::size_t first_panel = 0, n_panels = 0;  ///< of the matrix: what is computed
  std::size_t rows_per_block = 0, n_row_blocks = 0;
  std::size_t panels_per_block = 0, n_panel_blocks = 0;
  std::size_t sum_stride = 0;
  std::size_t n_row_groups = 1;

  struct Task {
    std::size_t row_block, panel_block;
  };
  Task task(std::size_t index) const {
    // Groups differ in size by one row block at most; group_begin is monotonic in the group.
    std::size_t group = index * n_row_groups / (n_row_blocks * n_panel_blocks);
    if (index >= group_begin(group + 1) * n_panel_blocks) ++group;
    const std::size_t begin = group_begin(group), count = group_begin(group + 1) - begin;
    const std::size_t within = index - begin * n_panel_blocks;
    return {begin + within % count, within / count};
  }
  std::size_t group_begin(std::size_t group) const { return group * n_row_blocks / n_row_groups; }

  struct Panels {
    std::size_t begin, count;
  };
  Panels panels_of(std::size_t panel_block) const {
    const std::size_t begin = panel_block * panels_per_block;
    return {first_panel + begin, std::min(panels_per_block, n_panels - begin)};
  }
};

/// Panels whose columns are whole blocks of 8-bit rows.
inline std::size_t panels_of_blocks(const Context& context) {
  return std::max<std::size_t>(1, isa::kBlock / context.isa.panel_width);
}

/// @param panel_multiple  panels that must stay together: 2 for gate and up
/// @param force_blocked   the rows are segments, which only the blocked product of floats reads
/// @param first_panel     panels before it are left out
ProductPlan plan_product(const Context& context, const PackedMatrix& matrix, std::size_t n_rows,
                         std::size_t panel_multiple, bool force_blocked, std::size_t first_panel = 0);

/// Rows as segments (isa::RowSegments); fill(row_begin, n_rows, segments) writes their addresses.
template <typename Fill, typename Finish>
void blocked_product(const Context& context, const ProductPlan& plan, std::size_t n_rows, std::size_t n_segments,
                     std::size_t segment_length, const Fill& fill, const PackedMatrix& matrix, const Finish& finish) {
  const isa::KernelTable& isa = context.isa;
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  const std::size_t rows = round_up(plan.rows_per_block, isa.tile_rows);
  const std::size_t row_floats = rows * isa.row_scratch_stride, sum_floats = rows * plan.sum_stride;
  const std::size_t panel_floats = isa.depth_block * isa.panel_width;
  const std::size_t worker_floats = round_up(row_floats + panel_floats + sum_floats, 16);
  const std::size_t worker_segments = round_up(rows * n_segments, 8);
  auto lease = context.scratch.lease(ScratchPool::bytes_for<float>(n_threads * worker_floats) +
                                     ScratchPool::bytes_for<const float*>(n_threads * worker_segments));
  float* floats = lease.take<float>(n_threads * worker_floats);
  const float** segments = lease.take<const float*>(n_threads * worker_segments);
  context.pool.parallel_for(plan.n_row_blocks * plan.n_panel_blocks, [&](std::size_t task, int worker_index) {
    const auto worker = static_cast<std::size_t>(worker_index);
    float* row_scratch = floats + worker * worker_floats;
    float* panel_scratch = row_scratch + row_floats;
    float* sums = panel_scratch + panel_floats;
    const float** task_segments = segments + worker * worker_segments;
    const auto [row_block, panel_block] = plan.task(task);
    const std::size_t row = row_block * plan.rows_per_block;
    const auto [panel, n_panels] = plan.panels_of(panel_block);
    const std::size_t count = std::min(plan.rows_per_block, n_rows - row);
    fill(row, count, task_segments);
    isa.blocked_product({task_segments, count, n_segments, segment_length}, matrix.slice(panel, n_panels), row_scratch,
                        panel_scratch, sums, plan.sum_stride);
    finish(SumTile{row, count, panel, n_panels, panel_block, sums, plan.sum_stride});
  });
}

template <typename Finish>
void stream_product(const Context& context, const ProductPlan& plan, const float* x, std::size_t n_rows,
                    const PackedMatrix& matrix, const Finish& finish) {
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  const std::size_t worker_floats = round_up(n_rows * plan.sum_stride, 16);
  auto lease = context.scratch.lease(ScratchPool::bytes_for<float>(n_threads * worker_floats));
  float* floats = lease.take<float>(n_threads * worker_floats);
  context.pool.parallel_for(plan.n_panel_blocks, [&](std::size_t task, int worker) {
    float* sums = floats + static_cast<std::size_t>(worker) * worker_floats;
    const auto [panel, n_panels] = plan.panels_of(task);
    context.isa.stream_product(x, matrix.panels.depth, n_rows, matrix.slice(panel, n_panels), sums, plan.sum_stride,
                               false);
    finish(SumTile{0, n_rows, panel, n_panels, task, sums, plan.sum_stride});
  });
}

/// Records [n_rows * matrix.n_segments] times a quantised matrix.
template <typename Finish>
void quantized_product(const Context& context, const ProductPlan& plan, const isa::QuantRows& rows,
                       const PackedMatrix& matrix, const Finish& finish) {
  const isa::KernelTable& isa = context.isa;
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  const std::size_t sum_floats = round_up(plan.rows_per_block * plan.sum_stride, 16);
  const std::size_t scratch_bytes = round_up(isa.quant_scratch_bytes, 64);
  auto lease = context.scratch.lease(ScratchPool::bytes_for<float>(n_threads * sum_floats) +
                                     ScratchPool::bytes_for<std::byte>(n_threads * scratch_bytes));
  float* floats = lease.take<float>(n_threads * sum_floats);
  std::byte* bytes = lease.take<std::byte>(n_threads * scratch_bytes);
  context.pool.parallel_for(plan.n_row_blocks * plan.n_panel_blocks, [&](std::size_t task, int worker_index) {
    const auto worker = static_cast<std::size_t>(worker_index);
    float* sums = floats + worker * sum_floats;
    const auto [row_block, panel_block] = plan.task(task);
    const std::size_t row = row_block * plan.rows_per_block;
    const auto [panel, n_panels] = plan.panels_of(panel_block);
    const std::size_t count = std::min(plan.rows_per_block, rows.n_rows - row);
    isa.quant_product({rows.records + row * rows.n_segments, count, rows.n_segments, rows.layout},
                      matrix.quant_slice(panel, n_panels), bytes + worker * scratch_bytes, sums, plan.sum_stride);
    finish(SumTile{row, count, panel, n_panels, panel_block, sums, plan.sum_stride});
  });
}

/// x [n_rows, depth] times a quantised matrix; rows of f32 are rounded first.
template <typename Finish>
void rounded_product(const Context& context, const ProductPlan& plan, ConstTensorView x, const PackedMatrix& matrix,
                     const Finish& finish) {
  const bool is_rounded = x.dtype == DType::kQ8Rows;
  QASR_CHECK(!is_rounded || takes_rounded_rows(matrix));
  const auto n_rows = static_cast<std::size_t>(x.rows());
  const isa::RecordLayout layout = record_layout(context, matrix);
  const std::size_t own_bytes = is_rounded ? 0 : n_rows * layout.bytes;
  auto lease = context.scratch.lease(ScratchPool::bytes_for<std::byte>(own_bytes) +
                                     ScratchPool::bytes_for<const std::byte*>(n_rows));
  const std::byte* records = static_cast<const std::byte*>(x.data);
  if (!is_rounded) {
    std::byte* own = lease.take<std::byte>(own_bytes);
    quantize_rows(context, x.as<float>(), n_rows, matrix.depth, layout, own);
    records = own;
  }
  const std::byte** rows = lease.take<const std::byte*>(n_rows);
  for (std::size_t row = 0; row < n_rows; ++row) rows[row] = records + row * layout.bytes;
  quantized_product(context, plan, {rows, n_rows, 1, layout}, matrix, finish);
}

/// x [n_rows, depth], f32 or kQ8Rows, times the matrix; finish(const SumTile&) noexcept takes each tile, on some
/// worker.
template <typename Finish>
void dense_product(const Context& context, const ProductPlan& plan, ConstTensorView view, const PackedMatrix& matrix,
                   const Finish& finish) {
  const auto n_rows = static_cast<std::size_t>(view.rows());
  if (n_rows == 0) return;  // register tiles have at least one row
  if (is_quantized(matrix.storage)) return rounded_product(context, plan, view, matrix, finish);
  QASR_CHECK(view.dtype == DType::kF32);
  const float* x = view.as<float>();
  if (!plan.blocked) return stream_product(context, plan, x, n_rows, matrix, finish);
  const std::size_t depth = matrix.panels.depth;
  const auto fill = [&](std::size_t row, std::size_t count, const float** segments) {
    for (std::size_t i = 0; i < count; ++i) segments[i] = x + (row + i) * depth;
  };
  blocked_product(context, plan, n_rows, 1, depth, fill, matrix, finish);
}

}  // namespace qasr::cpu
