// Queries, keys and values of new rows: product, RMSNorm per head, RoPE, append to the cache.
#include <algorithm>
#include <cmath>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {
namespace {

// Half-split rotation: element i pairs with element i + head_dim / 2.
void rotate(float* head, std::int64_t head_dim, const float* cosine, const float* sine) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double low = head[i], high = head[i + half];
    head[i] = static_cast<float>(low * cosine[i] - high * sine[i]);
    head[i + half] = static_cast<float>(high * cosine[i] + low * sine[i]);
  }
}

void store(const float* from, std::int64_t size, DType dtype, float* to) {
  if (dtype == DType::kF8E4M3) {
    float largest = 0;
    for (std::int64_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(from[i]));
    const float scale = largest > 0 ? largest / kLargestE4M3 : 1.0f;
    for (std::int64_t i = 0; i < size; ++i) to[i] = round_to_e4m3(from[i] / scale) * scale;
    return;
  }
  for (std::int64_t i = 0; i < size; ++i) to[i] = dtype == DType::kBf16 ? to_f32(to_bf16(from[i])) : from[i];
}

}  // namespace

void ReferenceBackend::qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch,
                                            KvCache& kv_cache, TensorView q) {
  check_qkv_norm_rope_append(x, p, batch, kv_cache, q);
  auto& cache = static_cast<Cache&>(kv_cache);
  const KvCacheShape& shape = cache.shape();
  const std::int64_t head_dim = shape.head_dim, n_heads = q.cols() / head_dim;
  std::vector<float> row_qkv(static_cast<std::size_t>(p.qkv->out_features()));
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    for (std::int32_t row = batch.row_begin[s]; row < batch.row_begin[s + 1]; ++row) {
      const std::int32_t position = batch.n_past[s] + row - batch.row_begin[s];
      const float* cosine = p.rope_cos.as<float>() + position * (head_dim / 2);
      const float* sine = p.rope_sin.as<float>() + position * (head_dim / 2);
      linear(x.slice_rows(row, 1), *p.qkv, {row_qkv.data(), DType::kF32, {1, p.qkv->out_features()}}, {});
      float* head = row_qkv.data();
      for (std::int64_t h = 0; h < n_heads; ++h, head += head_dim) {
        rms_norm_row(head, p.q_norm.as<float>(), head_dim, p.eps, head);
        rotate(head, head_dim, cosine, sine);
        if (q.rows() > 0) store(head, head_dim, DType::kF32, q.as<float>() + row * q.cols() + h * head_dim);
      }
      const std::int32_t page = batch.pages[s][static_cast<std::size_t>(position / shape.page_tokens)];
      const int slot = position % shape.page_tokens;
      for (int h = 0; h < shape.n_kv_heads; ++h, head += head_dim) {
        rms_norm_row(head, p.k_norm.as<float>(), head_dim, p.eps, head);
        rotate(head, head_dim, cosine, sine);
        store(head, head_dim, shape.dtype, cache.key(p.layer, page, slot, h));
      }
      for (int h = 0; h < shape.n_kv_heads; ++h, head += head_dim) {
        store(head, head_dim, shape.dtype, cache.value(p.layer, page, slot, h));
      }
    }
  }
}

}  // namespace qasr::reference
