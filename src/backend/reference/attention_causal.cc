// Causal grouped-query attention of new rows over their sequence's cached positions.
#include <algorithm>
#include <cmath>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {
namespace {

// One query head over positions [0, n_keys) of a sequence.
void attend(const float* q, const Cache& cache, int layer, std::span<const std::int32_t> pages, int kv_head,
            std::int32_t n_keys, float* y) {
  const KvCacheShape& shape = cache.shape();
  const auto place = [&](std::int32_t position) {
    return std::pair(pages[static_cast<std::size_t>(position / shape.page_tokens)], position % shape.page_tokens);
  };
  std::vector<double> weight(static_cast<std::size_t>(n_keys));
  double largest = -INFINITY;
  for (std::int32_t key = 0; key < n_keys; ++key) {
    const auto [page, slot] = place(key);
    const double score = dot(q, cache.key(layer, page, slot, kv_head), shape.head_dim) /
                         std::sqrt(static_cast<double>(shape.head_dim));
    weight[static_cast<std::size_t>(key)] = score;
    largest = std::max(largest, score);
  }
  double total = 0;
  for (double& w : weight) total += w = std::exp(w - largest);
  std::vector<double> sum(static_cast<std::size_t>(shape.head_dim));
  for (std::int32_t key = 0; key < n_keys; ++key) {
    const auto [page, slot] = place(key);
    const float* value = cache.value(layer, page, slot, kv_head);
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += weight[static_cast<std::size_t>(key)] * value[d];
  }
  for (std::size_t d = 0; d < sum.size(); ++d) y[d] = static_cast<float>(sum[d] / total);
}

}  // namespace

void ReferenceBackend::attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch,
                                        const KvCache& kv_cache, TensorView y) {
  check_attention_causal(q, n_heads, layer, batch, kv_cache, y);
  const auto& cache = static_cast<const Cache&>(kv_cache);
  const int head_dim = cache.shape().head_dim, group = n_heads / cache.shape().n_kv_heads;
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    for (std::int32_t row = batch.row_begin[s]; row < batch.row_begin[s + 1]; ++row) {
      const std::int32_t n_keys = batch.n_past[s] + row - batch.row_begin[s] + 1;
      for (int head = 0; head < n_heads; ++head) {
        const std::int64_t offset = row * q.cols() + static_cast<std::int64_t>(head) * head_dim;
        attend(q.as<float>() + offset, cache, layer, batch.pages[s], head / group, n_keys, y.as<float>() + offset);
      }
    }
  }
}

}  // namespace qasr::reference
