// Queries, keys and values of new rows in one product. Its tiles hold whole heads, so RMSNorm, rotation and the append
// to the cache follow while the sums are in cache: the product itself is never in memory. A task holds all rows of a
// head that share cache lines of keys.
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/paged_kv_cache.h"
#include "backend/cpu/product.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

struct RowPlace {
  std::size_t sequence, position;
};

RowPlace place_of(const SequenceBatch& batch, std::size_t row) {
  const auto after = std::upper_bound(batch.row_begin.begin(), batch.row_begin.end(), static_cast<std::int32_t>(row));
  const auto sequence = static_cast<std::size_t>(after - batch.row_begin.begin()) - 1;
  return {sequence,
          static_cast<std::size_t>(batch.n_past[sequence]) + row - static_cast<std::size_t>(batch.row_begin[sequence])};
}

// Takes tiles of [queries, keys, values], each a number of whole heads. Queries go nowhere if q_out is null.
struct HeadSink {
  const isa::KernelTable& isa;
  const Backend::QkvNormRope& op;
  const SequenceBatch& batch;
  PagedKvCache& cache;
  float* q_out;  // [rows, n_heads * dim]
  std::size_t n_heads, n_kv_heads, dim;

  void operator()(const SumTile& tile) const {
    const std::size_t first = tile.panel_begin * isa.panel_width / dim;
    const std::size_t end = std::min(first + tile.n_panels * isa.panel_width / dim, n_heads + 2 * n_kv_heads);
    for (std::size_t head = q_out == nullptr ? std::max(first, n_heads) : first; head < end; ++head) {
      for (std::size_t row = 0; row < tile.n_rows; ++row) {
        put(head, tile.row_begin + row, tile.sums + row * tile.stride + (head - first) * dim);
      }
    }
  }

  void put(std::size_t head, std::size_t row, float* x) const {
    const RowPlace place = place_of(batch, row);
    if (head < n_heads) {
      norm_rope(op.q_norm, place.position, x, q_out + (row * n_heads + head) * dim);
      return;
    }
    const auto page_tokens = static_cast<std::size_t>(cache.shape().page_tokens);
    const std::int32_t page = batch.pages[place.sequence][place.position / page_tokens];
    const std::size_t slot = place.position % page_tokens, kv_head = (head - n_heads) % n_kv_heads;
    if (head < n_heads + n_kv_heads) {
      norm_rope(op.k_norm, place.position, x, x);
      cache.put_key(op.layer, page, kv_head, slot, x);
    } else {
      const bool is_last = static_cast<std::int32_t>(row) + 1 == batch.row_begin[place.sequence + 1];
      cache.put_value(op.layer, page, kv_head, slot, x, is_last);
    }
  }

  void norm_rope(ConstTensorView weight, std::size_t position, const float* x, float* y) const {
    const std::size_t angles = position * (dim / 2);
    isa.rms_norm_rope(x, weight.as<float>(), op.eps, op.rope_cos.as<float>() + angles, op.rope_sin.as<float>() + angles,
                      dim, y);
  }
};

}  // namespace

void CpuBackend::qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch,
                                      KvCache& kv_cache, TensorView q) {
  check_qkv_norm_rope_append(unrounded(x), p, batch, kv_cache, q);
  const PackedMatrix& matrix = static_cast<const PackedLinear&>(*p.qkv).matrix;
  const auto dim = static_cast<std::size_t>(kv_cache.shape().head_dim);
  const HeadSink sink{context_.isa,
                      p,
                      batch,
                      static_cast<PagedKvCache&>(kv_cache),
                      q.rows() == 0 ? nullptr : q.as<float>(),
                      static_cast<std::size_t>(q.cols()) / dim,
                      static_cast<std::size_t>(kv_cache.shape().n_kv_heads),
                      dim};
  // Tiles of whole heads begin at multiples of as many panels, from the first on.
  const std::size_t width = context_.isa.panel_width, multiple = std::lcm(dim, width) / width;
  const std::size_t first_panel = q.rows() > 0 ? 0 : static_cast<std::size_t>(q.cols()) / width / multiple * multiple;
  const ProductPlan plan =
      plan_product(context_, matrix, static_cast<std::size_t>(x.rows()), multiple, false, first_panel);
  dense_product(context_, plan, x, matrix, sink);
}

}  // namespace qasr::cpu
