// Queries, keys and values of new rows: one product, then some lanes per head normalise, rotate and store it.
#include "backend/cuda/batch_tables.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/head_lanes.cuh"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/paged_keys.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kWarps = 8;

template <typename Element>
struct AppendArguments {
  const Bf16* qkv;  // [rows, n_heads + 2 n_kv_heads, kDim]
  const float *q_norm, *k_norm, *cosine, *sine;
  float eps;
  int n_rows, n_heads;
  BatchTables tables;
  PagedLayout layout;
  CacheLayer<Element> layer;
  Bf16* q;  // [rows, n_heads, kDim]
};

// Several heads a warp.
template <int kDim, typename Element>
__global__ __launch_bounds__(kWarps* kWarp) void append_kernel(AppendArguments<Element> a) {
  using S = HeadLanes<kDim, Element>;
  let_next_start();
  wait_for_inputs();
  const int n_kv = a.layout.n_kv_heads, n_all = a.n_heads + 2 * n_kv, n_jobs = a.n_rows * n_all;
  const int own = (blockIdx.x * kWarps * kWarp + threadIdx.x) / S::kLanes, job = min(own, n_jobs - 1);
  const int row = job / n_all, head = job % n_all, column = threadIdx.x % S::kLanes * S::kEach;
  const bool is_query = head < a.n_heads, is_value = head >= a.n_heads + n_kv, writes = own < n_jobs;
  float v[S::kEach], rotated[S::kEach];
  load_head<S>(a.qkv + static_cast<std::int64_t>(job) * kDim, v);
  const int sequence = a.tables.row_sequence[row];
  const int position = a.tables.n_past[sequence] + row - a.tables.row_begin[sequence];
  const std::int64_t angles = static_cast<std::int64_t>(position) * (kDim / 2);
#pragma unroll
  for (int i = 0; i < S::kEach; ++i) rotated[i] = v[i];
  normalise_and_rotate<kDim, S>(is_query ? a.q_norm : a.k_norm, a.eps, a.cosine + angles, a.sine + angles, rotated);
  if (!is_value) {
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) v[i] = rotated[i];
  }
  const std::int32_t* pages = a.tables.pages + a.tables.page_begin[sequence];
  const int kv_head = max(head - a.n_heads, 0) % n_kv;
  const std::int64_t place = a.layout.key_at(pages, kv_head, position) + (is_value ? a.layout.value_offset() : 0);
  if (is_query && writes) {
    uint4* to = reinterpret_cast<uint4*>(a.q + (static_cast<std::int64_t>(row) * a.n_heads + head) * kDim + column);
#pragma unroll
    for (int word = 0; word < S::kEach / 8; ++word) {
      to[word] = make_uint4(pack_bf16(v[word * 8], v[word * 8 + 1]), pack_bf16(v[word * 8 + 2], v[word * 8 + 3]),
                            pack_bf16(v[word * 8 + 4], v[word * 8 + 5]), pack_bf16(v[word * 8 + 6], v[word * 8 + 7]));
    }
  }
  store_vector<kDim, Element>(a.layer, place, writes && !is_query, v);
}

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch,
                                       KvCache& cache, TensorView q) {
  check_qkv_norm_rope_append(x, p, batch, cache, q, activation_dtype());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const std::int64_t first_feature = q.rows() == 0 ? q.cols() : 0;
  const std::int64_t width = p.qkv->out_features() - first_feature;
  const TensorView qkv(context_.scratch<Bf16>(Scratch::kProduct, x.rows() * width), DType::kBf16, {x.rows(), width});
  if (first_feature == 0) {
    linear(x, *p.qkv, qkv, {});
  } else {
    multiply({.x = x.data, .y = qkv.data, .rows = x.rows()}, static_cast<const CudaLinear&>(*p.qkv), first_feature);
  }
  const auto& paged = static_cast<const CudaKvCache&>(cache);
  const int head_dim = cache.shape().head_dim;
  const auto run = [&](auto element) {
    using Element = decltype(element);
    const AppendArguments<Element> arguments{.qkv = qkv.as<Bf16>(),
                                             .q_norm = p.q_norm.as<float>(),
                                             .k_norm = p.k_norm.as<float>(),
                                             .cosine = p.rope_cos.as<float>(),
                                             .sine = p.rope_sin.as<float>(),
                                             .eps = p.eps,
                                             .n_rows = static_cast<int>(x.rows()),
                                             .n_heads = static_cast<int>((q.cols() - first_feature) / head_dim),
                                             .tables = locate_tables(tables_of(batch), batch),
                                             .layout = paged.layout(),
                                             .layer = paged.layer<Element>(p.layer),
                                             .q = q.as<Bf16>()};
    const std::int64_t n_threads = x.rows() * width / kWordElements<Element>;
    const unsigned blocks = blocks_for(n_threads, kWarps * kWarp);
    launch_overlapped(context_, "qkv_norm_rope_append", blocks, kWarps * kWarp,
                      head_dim == 64 ? append_kernel<64, Element> : append_kernel<128, Element>, arguments);
  };
  if (paged.holds_fp8()) return run(Fp8{});
  run(Bf16{});
}

}  // namespace qasr::cuda
