// Queries, keys and values of new rows in one product, then per head: RMSNorm, rotation, append to the cache.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/paged_kv_cache.h"
#include "backend/cpu/product.h"
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

}  // namespace

void CpuBackend::qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch,
                                      KvCache& kv_cache, TensorView q) {
  check_qkv_norm_rope_append(x, p, batch, kv_cache, q);
  auto& cache = static_cast<PagedKvCache&>(kv_cache);
  const auto dim = static_cast<std::size_t>(cache.shape().head_dim), rows = static_cast<std::size_t>(x.rows());
  const auto kv_heads = static_cast<std::size_t>(cache.shape().n_kv_heads);
  const auto page_tokens = static_cast<std::size_t>(cache.shape().page_tokens);
  const std::size_t n_heads = static_cast<std::size_t>(q.cols()) / dim, group = ceil_div(n_heads, kv_heads);
  const auto out_features = static_cast<std::size_t>(p.qkv->out_features());
  auto lease = scratch_.lease(ScratchPool::bytes_for<float>(rows * out_features));
  float* qkv = lease.take<float>(rows * out_features);
  linear(x, *p.qkv, {qkv, DType::kF32, {x.rows(), p.qkv->out_features()}}, {});
  const float *q_norm = p.q_norm.as<float>(), *k_norm = p.k_norm.as<float>();
  const float *cosines = p.rope_cos.as<float>(), *sines = p.rope_sin.as<float>();
  float* q_out = q.as<float>();
  pool_.parallel_for(rows * kv_heads, [&](std::size_t task, int) {
    const std::size_t row = task / kv_heads, kv_head = task % kv_heads;
    const RowPlace place = place_of(batch, row);
    const float *cosine = cosines + place.position * (dim / 2), *sine = sines + place.position * (dim / 2);
    float* row_qkv = qkv + row * out_features;
    for (std::size_t head = kv_head * group; head < std::min(n_heads, (kv_head + 1) * group); ++head) {
      context_.isa.rms_norm_rope(row_qkv + head * dim, q_norm, p.eps, cosine, sine, dim,
                                 q_out + (row * n_heads + head) * dim);
    }
    float* key = row_qkv + (n_heads + kv_head) * dim;
    context_.isa.rms_norm_rope(key, k_norm, p.eps, cosine, sine, dim, key);
    cache.append(p.layer, batch.pages[place.sequence][place.position / page_tokens], kv_head,
                 place.position % page_tokens, key, key + kv_heads * dim);
  });
}

}  // namespace qasr::cpu
