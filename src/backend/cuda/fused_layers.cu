// What a decode step fuses: RMSNorm with the product behind it, and norm, rotation and append with attention. With more
// rows than the skinny kernels take, the norm is a kernel of its own.
#include <cmath>

#include "backend/cuda/attention_decode.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/skinny_product.h"
#include "backend/op_checks.h"

namespace qasr::cuda {

// y = RMSNorm(x) W^T without bias, through `normed` where there are many rows.
void CudaBackend::norm_linear(ConstTensorView x, const RmsNorm& norm, const LinearWeight& w, TensorView normed,
                              TensorView y) {
  check_norm(x, norm.weight, normed, activation_dtype());
  QASR_CHECK(!w.has_bias());
  if (x.rows() <= kSkinnyRows) {
    check_matrix(x, x.rows(), w.in_features());
    check_output(y, x.rows(), w.out_features(), activation_dtype());
    return skinny_norm_linear(context_, x, norm, static_cast<const CudaLinear&>(w), y);
  }
  rms_norm(x, norm.weight, norm.eps, normed);
  linear(normed, w, y, {});
}

void CudaBackend::norm_gate_up_silu(ConstTensorView x, const RmsNorm& norm, const LinearWeight& gate_up,
                                    TensorView normed, TensorView y) {
  if (x.rows() == 0 || x.rows() > kSkinnyRows) return Backend::norm_gate_up_silu(x, norm, gate_up, normed, y);
  check_norm(x, norm.weight, normed, activation_dtype());
  check_gate_up(normed, gate_up, y, activation_dtype());
  const Context::Use use(context_);
  skinny_norm_gate_up_silu(context_, x, norm, static_cast<const CudaLinear&>(gate_up), y);
}

void CudaBackend::norm_attention(ConstTensorView x, const RmsNorm& norm, const QkvNormRope& p,
                                 const SequenceBatch& batch, KvCache& cache, const AttentionScratch& scratch,
                                 TensorView y) {
  if (x.rows() == 0 || !is_decode_step(batch)) return Backend::norm_attention(x, norm, p, batch, cache, scratch, y);
  check_qkv_norm_rope_append(scratch.normed, p, batch, cache, scratch.q, activation_dtype());
  check_matrix(y, x.rows(), scratch.q.cols(), activation_dtype());
  const Context::Use use(context_);
  const std::int64_t width = p.qkv->out_features();
  const TensorView qkv(context_.scratch<Bf16>(Scratch::kProduct, x.rows() * width), DType::kBf16, {x.rows(), width});
  norm_linear(x, norm, *p.qkv, scratch.normed, qkv);
  const auto& paged = static_cast<const CudaKvCache&>(cache);
  const KvCacheShape& shape = cache.shape();
  const auto run = [&](auto element) {
    using Element = decltype(element);
    decode_attention<Element>(context_,
                              {.qkv = qkv.as<Bf16>(),
                               .q_norm = p.q_norm.as<float>(),
                               .k_norm = p.k_norm.as<float>(),
                               .cosine = p.rope_cos.as<float>(),
                               .sine = p.rope_sin.as<float>(),
                               .eps = p.eps,
                               .layer = paged.layer<Element>(p.layer),
                               .tables = locate_tables(tables_of(batch), batch),
                               .layout = paged.layout(),
                               .n_sequences = static_cast<int>(batch.n_sequences()),
                               .n_heads = static_cast<int>(y.cols() / shape.head_dim),
                               .scale = static_cast<float>(M_LOG2E / std::sqrt(static_cast<double>(shape.head_dim))),
                               .y = y.as<Bf16>()});
  };
  if (paged.holds_fp8()) return run(Fp8{});
  run(Bf16{});
}

void CudaBackend::norm_argmax_ids(ConstTensorView x, const RmsNorm& norm, const LinearWeight& head, TensorView normed,
                                  TensorView logits, TensorView ids) {
  check_ids(ids, x.rows());
  check_matrix(logits, x.rows(), head.out_features());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  norm_linear(x, norm, head, normed, logits);
  find_largest(logits, ids);
}

}  // namespace qasr::cuda
