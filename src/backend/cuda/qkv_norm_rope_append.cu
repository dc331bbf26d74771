// Queries, keys and values of new rows: one product, then a warp per head normalises, rotates and stores it.
#include <bit>

#include "backend/cuda/batch_tables.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/paged_keys.cuh"
#include "backend/cuda/skinny_product.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kWarps = 4;

struct AppendArguments {
  const Bf16* qkv;  // [rows, n_heads + 2 n_kv_heads, kDim]
  const float *q_norm, *k_norm, *cosine, *sine;
  float eps;
  int n_rows, n_heads;
  BatchTables tables;
  PagedLayout layout;
  Bf16* layer;  // of the cache
  Bf16* q;      // [rows, n_heads, kDim]
};

// A lane holds kDim / 64 neighbouring elements of the lower half of a head and their partners in the upper half.
template <int kDim>
__global__ void append_kernel(AppendArguments a) {
  constexpr int kEach = kDim / 64, kHalf = kDim / 2;
  let_next_start();
  wait_for_inputs();
  const int lane = threadIdx.x % kWarp, n_kv = a.layout.n_kv_heads, n_all = a.n_heads + 2 * n_kv;
  const std::int64_t job = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (job >= static_cast<std::int64_t>(a.n_rows) * n_all) return;
  const int row = static_cast<int>(job / n_all), head = static_cast<int>(job % n_all);
  const int sequence = a.tables.row_sequence[row];
  const int position = a.tables.n_past[sequence] + row - a.tables.row_begin[sequence];
  const bool is_query = head < a.n_heads, is_value = head >= a.n_heads + n_kv;

  float low[kEach], high[kEach];
  const Bf16* from = a.qkv + job * kDim + lane * kEach;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    low[i] = __bfloat162float(from[i]);
    high[i] = __bfloat162float(from[kHalf + i]);
  }
  if (!is_value) {
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) squares += low[i] * low[i] + high[i] * high[i];
    const float scale = rsqrtf(warp_sum(squares) / kDim + a.eps);
    const float* norm = is_query ? a.q_norm : a.k_norm;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int at = lane * kEach + i;
      const float x = low[i] * scale * norm[at], y = high[i] * scale * norm[kHalf + at];
      const float c = a.cosine[static_cast<std::int64_t>(position) * kHalf + at];
      const float s = a.sine[static_cast<std::int64_t>(position) * kHalf + at];
      low[i] = x * c - y * s;
      high[i] = y * c + x * s;
    }
  }
  Bf16* to;
  if (is_query) {
    to = a.q + (static_cast<std::int64_t>(row) * a.n_heads + head) * kDim;
  } else {
    const int kv_head = (head - a.n_heads) % n_kv;
    const std::int32_t* pages = a.tables.pages + a.tables.page_begin[sequence];
    to = a.layer + a.layout.key_at(pages, kv_head, position) + (is_value ? a.layout.value_offset() : 0);
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    to[lane * kEach + i] = __float2bfloat16(low[i]);
    to[kHalf + lane * kEach + i] = __float2bfloat16(high[i]);
  }
}

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch,
                                       KvCache& cache, TensorView q) {
  check_qkv_norm_rope_append(x, p, batch, cache, q, activation_dtype());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const KvCacheShape& shape = cache.shape();
  const auto& w = static_cast<const CudaLinear&>(*p.qkv);
  const std::int64_t width = w.out_features();
  Bf16* qkv = context_.scratch<Bf16>(Scratch::kProduct, x.rows() * width);
  if (x.rows() <= kSkinnyRows) {
    skinny_linear(context_, x, w, {qkv, DType::kBf16, {x.rows(), width}}, {});
  } else {
    matmul_.run({.x = x.as<Bf16>(), .w = w.w(), .y = qkv, .rows = x.rows(), .out = width, .in = x.cols()});
  }

  const AppendArguments arguments{
      .qkv = qkv,
      .q_norm = p.q_norm.as<float>(),
      .k_norm = p.k_norm.as<float>(),
      .cosine = p.rope_cos.as<float>(),
      .sine = p.rope_sin.as<float>(),
      .eps = p.eps,
      .n_rows = static_cast<int>(x.rows()),
      .n_heads = static_cast<int>(q.cols() / shape.head_dim),
      .tables = locate_tables(tables_of(batch), batch),
      .layout = {shape.n_kv_heads, std::countr_zero(static_cast<unsigned>(shape.page_tokens)), shape.head_dim},
      .layer = static_cast<CudaKvCache&>(cache).layer(p.layer),
      .q = q.as<Bf16>()};
  const unsigned blocks = blocks_for(x.rows() * (width / shape.head_dim), kWarps);
  launch_overlapped(context_, "qkv_norm_rope_append", blocks, kWarps * kWarp,
                    shape.head_dim == 64 ? append_kernel<64> : append_kernel<128>, arguments);
}

}  // namespace qasr::cuda
