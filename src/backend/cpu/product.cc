#include "backend/cpu/product.h"

namespace qasr::cpu {
namespace {

// Up to this many rows streaming wins: the rows stay in L2 as they are, and copying them would not pay.
constexpr std::size_t kStreamRows = 32;
// Rows of a block: with a depth block of 256, 150 KiB of left factor, which shares a 512 KiB L2 with the sums.
constexpr std::size_t kBlockRows = 144;
// Columns of a block: the left factor is copied once per this many columns, fewer only to keep all threads busy.
constexpr std::size_t kBlockColumns = 192;
constexpr std::size_t kLeastColumns = 96;
// The same for quantised products: a block of rows and its sums share the L2 for as long as panels stream past. More
// rows for convolutions, whose rows overlap.
constexpr std::size_t kQuantColumns = 128;
constexpr std::size_t kQuantBlockRows = 144;
constexpr std::size_t kQuantBlockPositions = 512;
constexpr std::size_t kQuantLeastRows = 32;
// A streamed task should take longer than handing it out: a few microseconds of memory reading.
constexpr std::size_t kStreamTaskBytes = std::size_t{64} << 10;
// Sums of a streamed task, which should still be in L2 when the task finishes them.
constexpr std::size_t kStreamSumBytes = std::size_t{128} << 10;
// Tasks per thread, so that an unlucky thread does not hold up the others for long. Streamed ones are large: memory is
// at its fastest some way into a task.
constexpr std::size_t kTasksPerThread = 4, kStreamTasksPerThread = 2;

std::size_t stream_panels_per_block(const isa::KernelTable& isa, const PackedMatrix& matrix, std::size_t n_panels,
                                    std::size_t n_rows, std::size_t n_threads) {
  const std::size_t for_size = ceil_div(kStreamTaskBytes, std::max<std::size_t>(1, matrix.panel_bytes()));
  const std::size_t for_balance = n_panels / (kStreamTasksPerThread * n_threads);
  const std::size_t for_sums = kStreamSumBytes / (std::max<std::size_t>(1, n_rows) * isa.panel_width * sizeof(float));
  const std::size_t wanted = std::min(std::max(for_size, for_balance), std::max<std::size_t>(1, for_sums));
  return round_up(wanted, 4);  // four panels are in flight at once
}

// Rows are one byte or two per element, so a block of them stays in L2 whole and needs no blocks of depth.
void plan_quantized_blocks(const isa::KernelTable& isa, const PackedMatrix& matrix, std::size_t n_rows,
                           const ThreadPool& pool, ProductPlan& plan) {
  const auto n_threads = static_cast<std::size_t>(pool.n_threads());
  plan.panels_per_block = ceil_div(kQuantColumns, isa.panel_width);
  const std::size_t n_panel_blocks = ceil_div(plan.n_panels, plan.panels_per_block);
  const std::size_t for_size = ceil_div(n_rows, matrix.n_segments == 1 ? kQuantBlockRows : kQuantBlockPositions);
  const std::size_t for_balance = ceil_div(kTasksPerThread * n_threads, std::max<std::size_t>(1, n_panel_blocks));
  const std::size_t most = ceil_div(n_rows, kQuantLeastRows);
  const std::size_t n_row_blocks =
      std::min(round_up(std::max(for_size, for_balance), static_cast<std::size_t>(pool.n_ranges())), most);
  plan.rows_per_block = round_up(ceil_div(n_rows, n_row_blocks), isa.quant_tile_rows);
  plan.n_row_blocks = ceil_div(n_rows, plan.rows_per_block);
}

void plan_float_blocks(const isa::KernelTable& isa, std::size_t n_rows, std::size_t n_threads, ProductPlan& plan) {
  plan.n_row_blocks = ceil_div(n_rows, kBlockRows);
  plan.rows_per_block = round_up(ceil_div(n_rows, std::max<std::size_t>(1, plan.n_row_blocks)), isa.tile_rows);
  plan.n_row_blocks = ceil_div(n_rows, std::max<std::size_t>(1, plan.rows_per_block));
  const std::size_t for_balance =
      plan.n_panels * std::max<std::size_t>(1, plan.n_row_blocks) / (kTasksPerThread * n_threads);
  const std::size_t most = ceil_div(kBlockColumns, isa.panel_width), least = ceil_div(kLeastColumns, isa.panel_width);
  plan.panels_per_block = std::clamp(for_balance, least, most);
}

}  // namespace

ProductPlan plan_product(const Context& context, const PackedMatrix& matrix, std::size_t n_rows,
                         std::size_t panel_multiple, bool force_blocked, std::size_t first_panel) {
  const isa::KernelTable& isa = context.isa;
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  ProductPlan plan;
  if (n_rows == 0) return plan;
  plan.first_panel = first_panel;
  plan.n_panels = matrix.n_panels() - first_panel;
  plan.blocked = force_blocked || n_rows > kStreamRows;
  if (!plan.blocked) {
    plan.rows_per_block = n_rows;
    plan.n_row_blocks = 1;
    plan.panels_per_block = stream_panels_per_block(isa, matrix, plan.n_panels, n_rows, n_threads);
  } else if (is_quantized(matrix.storage)) {
    plan_quantized_blocks(isa, matrix, n_rows, context.pool, plan);
  } else {
    plan_float_blocks(isa, n_rows, n_threads, plan);
  }
  plan.n_row_groups = std::min(plan.n_row_blocks, static_cast<std::size_t>(context.pool.n_ranges()));
  plan.panels_per_block = std::min(round_up(plan.panels_per_block, panel_multiple), plan.n_panels);
  plan.n_panel_blocks = plan.panels_per_block == 0 ? 0 : ceil_div(plan.n_panels, plan.panels_per_block);
  plan.sum_stride = plan.panels_per_block * isa.panel_width + 16;  // no power of two, for the cache's sake
  return plan;
}

}  // namespace qasr::cpu
