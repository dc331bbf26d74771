// Queries, keys and values of new rows: one product, then a warp per head normalises, rotates and stores it.
#include "backend/cuda/batch_tables.h"
#include "backend/cuda/cuda_backend.h"
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

// The kEach neighbouring bf16 of a lane at once.
template <int kEach>
__device__ void load_each(const Bf16* from, float (&v)[kEach]) {
  static_assert(kEach == 1 || kEach == 2);
  if constexpr (kEach == 2) {
    const float2 pair = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(from));
    v[0] = pair.x, v[1] = pair.y;
  } else {
    v[0] = __bfloat162float(*from);
  }
}

template <int kEach>
__device__ void store_each(const float (&v)[kEach], Bf16* to) {
  if constexpr (kEach == 2) {
    *reinterpret_cast<__nv_bfloat162*>(to) = __floats2bfloat162_rn(v[0], v[1]);
  } else {
    *to = __float2bfloat16(v[0]);
  }
}

// A lane holds kDim / 64 neighbouring elements of the lower half of a head and their partners in the upper half.
template <int kDim, typename Element>
__global__ __launch_bounds__(kWarps* kWarp) void append_kernel(AppendArguments<Element> a) {
  constexpr int kEach = kDim / 64, kHalf = kDim / 2;
  let_next_start();
  wait_for_inputs();
  const int at = threadIdx.x % kWarp * kEach, n_kv = a.layout.n_kv_heads, n_all = a.n_heads + 2 * n_kv;
  const int job = blockIdx.x * kWarps + threadIdx.x / kWarp;
  if (job >= a.n_rows * n_all) return;
  const int row = job / n_all, head = job % n_all;
  const bool is_query = head < a.n_heads, is_value = head >= a.n_heads + n_kv;

  float low[kEach], high[kEach];
  const Bf16* from = a.qkv + static_cast<std::int64_t>(job) * kDim + at;
  load_each(from, low);
  load_each(from + kHalf, high);
  const int sequence = a.tables.row_sequence[row];
  const int position = a.tables.n_past[sequence] + row - a.tables.row_begin[sequence];
  if (!is_value) {
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) squares += low[i] * low[i] + high[i] * high[i];
    const float scale = rsqrtf(warp_sum(squares) / kDim + a.eps);
    const float* norm = is_query ? a.q_norm : a.k_norm;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const float x = low[i] * scale * norm[at + i], y = high[i] * scale * norm[kHalf + at + i];
      const float c = a.cosine[static_cast<std::int64_t>(position) * kHalf + at + i];
      const float s = a.sine[static_cast<std::int64_t>(position) * kHalf + at + i];
      low[i] = x * c - y * s;
      high[i] = y * c + x * s;
    }
  }
  if (is_query) {
    Bf16* to = a.q + (static_cast<std::int64_t>(row) * a.n_heads + head) * kDim + at;
    store_each(low, to);
    store_each(high, to + kHalf);
    return;
  }
  const int kv_head = (head - a.n_heads) % n_kv;
  const std::int32_t* pages = a.tables.pages + a.tables.page_begin[sequence];
  const std::int64_t place =
      a.layout.key_at(pages, kv_head, position) + (is_value ? a.layout.value_offset() : 0);
  Element* to = a.layer.elements + place + at;
  if constexpr (sizeof(Element) == 2) {
    store_each(low, to);
    store_each(high, to + kHalf);
  } else {
    float largest = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) largest = fmaxf(largest, fmaxf(fabsf(low[i]), fabsf(high[i])));
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
    }
    const float scale = fp8_scale(largest), inverse = 1.0f / scale;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      to[i].code = __nv_cvt_float_to_fp8(low[i] * inverse, __NV_SATFINITE, __NV_E4M3);
      to[kHalf + i].code = __nv_cvt_float_to_fp8(high[i] * inverse, __NV_SATFINITE, __NV_E4M3);
    }
    if (at == 0) a.layer.scales[place / kDim] = scale;
  }
}

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch,
                                       KvCache& cache, TensorView q) {
  check_qkv_norm_rope_append(x, p, batch, cache, q, activation_dtype());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const std::int64_t width = p.qkv->out_features();
  const TensorView qkv(context_.scratch<Bf16>(Scratch::kProduct, x.rows() * width), DType::kBf16, {x.rows(), width});
  linear(x, *p.qkv, qkv, {});
  const auto& paged = static_cast<const CudaKvCache&>(cache);
  const int head_dim = cache.shape().head_dim;
  const unsigned blocks = blocks_for(x.rows() * (width / head_dim), kWarps);
  const auto run = [&](auto element) {
    using Element = decltype(element);
    const AppendArguments<Element> arguments{.qkv = qkv.as<Bf16>(),
                                             .q_norm = p.q_norm.as<float>(),
                                             .k_norm = p.k_norm.as<float>(),
                                             .cosine = p.rope_cos.as<float>(),
                                             .sine = p.rope_sin.as<float>(),
                                             .eps = p.eps,
                                             .n_rows = static_cast<int>(x.rows()),
                                             .n_heads = static_cast<int>(q.cols() / head_dim),
                                             .tables = locate_tables(tables_of(batch), batch),
                                             .layout = paged.layout(),
                                             .layer = paged.layer<Element>(p.layer),
                                             .q = q.as<Bf16>()};
    launch_overlapped(context_, "qkv_norm_rope_append", blocks, kWarps * kWarp,
                      head_dim == 64 ? append_kernel<64, Element> : append_kernel<128, Element>, arguments);
  };
  if (paged.holds_fp8()) return run(Fp8{});
  run(Bf16{});
}

}  // namespace qasr::cuda
