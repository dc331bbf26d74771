// Greedy choice: logits = x W^T with the largest of each tile found while the tile is in cache, then the largest of
// those.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

struct Best {
  float value;
  std::int32_t index;  // -1: nothing but NaN
};

// The lowest index of the largest element; NaNs are passed over.
Best best_of(const isa::KernelTable& isa, const float* x, std::size_t n, std::size_t first_index) {
  const float largest = isa.max_element(x, n);
  for (std::size_t i = 0; i < n; ++i) {
    if (x[i] == largest) return {largest, static_cast<std::int32_t>(first_index + i)};
  }
  return {largest, -1};
}

}  // namespace

void CpuBackend::argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                               std::span<std::int32_t> ids) {
  check_argmax_logits(unrounded(x), head, logits, ids);
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(head).matrix;
  const isa::KernelTable& isa = context_.isa;
  const auto n_rows = static_cast<std::size_t>(x.rows());
  const std::size_t vocab = matrix.n_features;
  float* out = logits.as<float>();
  const ProductPlan plan = plan_product(context_, matrix, n_rows, 1, false);
  auto lease = context_.scratch.lease(ScratchPool::bytes_for<Best>(plan.n_panel_blocks * n_rows));
  Best* bests = lease.take<Best>(plan.n_panel_blocks * n_rows);  // [n_panel_blocks, n_rows]
  dense_product(context_, plan, x, matrix, [&](const SumTile& tile) {
    const std::size_t column = tile.panel_begin * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels * isa.panel_width, vocab - column);
    float* tile_out = out + tile.row_begin * vocab + column;
    isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, {.bias = matrix.bias_from(column)}, tile_out,
                      vocab);
    for (std::size_t row = 0; row < tile.n_rows; ++row) {
      bests[tile.panel_block * n_rows + tile.row_begin + row] = best_of(isa, tile_out + row * vocab, columns, column);
    }
  });
  for (std::size_t row = 0; row < n_rows; ++row) {
    Best best{0, -1};
    for (std::size_t block = 0; block < plan.n_panel_blocks; ++block) {
      const Best& candidate = bests[block * n_rows + row];
      if (candidate.index >= 0 && (best.index < 0 || candidate.value > best.value)) best = candidate;
    }
    ids[row] = std::max(best.index, 0);
  }
}

}  // namespace qasr::cpu
