// See attention_decode.h. The cached positions of a sequence are cut into splits; a block computes all query heads of
// one KV head over one split, so every key and value is read once from memory. Within a block a warp takes kTileKeys
// keys at a time: kLanes lanes hold one key, 16 bytes each, and a warp has 16 or more loads under way before the first
// is used. The block that finishes the last split of a head puts the splits together.
#include <algorithm>
#include <string>

#include "backend/cuda/attention_decode.h"
#include "backend/cuda/launch.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kWarps = 4;
constexpr int kSplitGrain = 64;  // positions; a split starts at a multiple

struct SplitRange {
  int begin, end;
};

// Positions of one of n_splits splits; splits from ceil(n_keys / size) on are empty.
__host__ __device__ inline int split_size(int n_keys, int n_splits) {
  const int size = (n_keys + n_splits - 1) / n_splits;
  return (size + kSplitGrain - 1) / kSplitGrain * kSplitGrain;
}

// Running softmax of one query head: of the keys seen by a lane, eight dimensions.
struct Partial {
  float largest, total, out[8];
};

__device__ void merge(Partial& into, const Partial& other) {
  const float largest = fmaxf(into.largest, other.largest);
  const float base = largest == -INFINITY ? 0.0f : largest;
  const float a = exp2f(into.largest - base), b = exp2f(other.largest - base);
  into.largest = largest;
  into.total = into.total * a + other.total * b;
#pragma unroll
  for (int i = 0; i < 8; ++i) into.out[i] = into.out[i] * a + other.out[i] * b;
}

template <int kDim, int kGroup>
struct DecodeShape {
  static constexpr int kLanes = kDim / 8;             // lanes of one key
  static constexpr int kKeysAtOnce = kWarp / kLanes;  // keys of one load
  static constexpr int kLoads = 8;
  static constexpr int kTileKeys = kKeysAtOnce * kLoads;
};

// Adds kTileKeys keys from first_key on to the partial results of kGroup query heads.
template <int kDim, int kGroup>
__device__ void attend_keys(const Bf16* keys, std::int64_t value_offset, int first_key, int end,
                            const float (&q)[kGroup][8], Partial (&partial)[kGroup]) {
  using S = DecodeShape<kDim, kGroup>;
  const int lane = threadIdx.x % kWarp, column = lane % S::kLanes * 8, own = lane / S::kLanes;
  uint4 key_bits[S::kLoads], value_bits[S::kLoads];  // ordinary loads: the kernel starts before the last key is there
#pragma unroll
  for (int load = 0; load < S::kLoads; ++load) {
    const int offset = min(load * S::kKeysAtOnce + own, end - 1 - first_key);  // past the end: any valid key
    key_bits[load] = *reinterpret_cast<const uint4*>(keys + offset * kDim + column);
  }
#pragma unroll
  for (int load = 0; load < S::kLoads; ++load) {
    const int offset = min(load * S::kKeysAtOnce + own, end - 1 - first_key);
    value_bits[load] = *reinterpret_cast<const uint4*>(keys + value_offset + offset * kDim + column);
  }
  float scores[kGroup][S::kLoads];
#pragma unroll
  for (int load = 0; load < S::kLoads; ++load) {
    float key[8];
    widen8(key_bits[load], key);
#pragma unroll
    for (int head = 0; head < kGroup; ++head) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < 8; ++i) sum += q[head][i] * key[i];
#pragma unroll
      for (int offset = S::kLanes / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
      scores[head][load] = first_key + load * S::kKeysAtOnce + own < end ? sum : -INFINITY;
    }
  }
#pragma unroll
  for (int head = 0; head < kGroup; ++head) {
    Partial& p = partial[head];
    float largest = p.largest;
#pragma unroll
    for (int load = 0; load < S::kLoads; ++load) largest = fmaxf(largest, scores[head][load]);
    const float base = largest == -INFINITY ? 0.0f : largest, rescale = exp2f(p.largest - base);
    p.largest = largest;
    p.total *= rescale;
#pragma unroll
    for (int i = 0; i < 8; ++i) p.out[i] *= rescale;
#pragma unroll
    for (int load = 0; load < S::kLoads; ++load) {
      scores[head][load] = exp2f(scores[head][load] - base);
      p.total += scores[head][load];
    }
  }
#pragma unroll
  for (int load = 0; load < S::kLoads; ++load) {
    float value[8];
    widen8(value_bits[load], value);
#pragma unroll
    for (int head = 0; head < kGroup; ++head) {
#pragma unroll
      for (int i = 0; i < 8; ++i) partial[head].out[i] += scores[head][load] * value[i];
    }
  }
}

// Where the results of several splits wait for each other.
struct Parts {
  float* out;        // [n_sequences, n_heads, n_splits, kDim], not divided by the total
  float2* weight;    // [n_sequences, n_heads, n_splits]: largest score, total
  unsigned* n_done;  // [n_sequences, n_kv_heads] zeros, and zeros again afterwards
};

// Whether this block is the last of n_used to get here; what the others wrote before is then visible.
__device__ bool is_last(unsigned* n_done, unsigned n_used) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(n_done, 1u) == n_used - 1;
    if (last) *n_done = 0;
  }
  __syncthreads();
  __threadfence();
  return last;
}

// Splits in ascending order, whichever block finished last.
template <int kDim>
__device__ void combine(const Parts& parts, std::int64_t head, int n_splits, int n_used, int dim, Bf16* y) {
  const float2* weight = parts.weight + head * n_splits;
  const float* out = parts.out + head * n_splits * kDim + dim;
  float largest = -INFINITY;
  for (int split = 0; split < n_used; ++split) largest = fmaxf(largest, __ldcg(weight + split).x);
  float total = 0, sum = 0;
  for (int split = 0; split < n_used; ++split) {
    const float2 part = __ldcg(weight + split);
    const float scale = exp2f(part.x - largest);
    total += scale * part.y;
    sum += scale * __ldcg(out + split * kDim);
  }
  y[head * kDim + dim] = __float2bfloat16(sum / total);
}

//   grid (n_splits, n_kv_heads, n_sequences)
template <int kDim, int kGroup>
__global__ __launch_bounds__(kWarps* kWarp) void split_kernel(CausalCall call, Parts parts) {
  using S = DecodeShape<kDim, kGroup>;
  let_next_start();
  wait_for_inputs();
  const int sequence = blockIdx.z, kv_head = blockIdx.y, n_splits = gridDim.x;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, column = lane % S::kLanes * 8;
  const int n_keys = call.tables.n_past[sequence] + 1;
  const int size = split_size(n_keys, n_splits), n_used = (n_keys + size - 1) / size;
  const int begin = blockIdx.x * size, end = min(begin + size, n_keys);
  if (begin >= n_keys) return;

  const std::int64_t first_head = static_cast<std::int64_t>(sequence) * call.n_heads + kv_head * kGroup;
  float q[kGroup][8];
  Partial partial[kGroup];
#pragma unroll
  for (int head = 0; head < kGroup; ++head) {
    widen8(*reinterpret_cast<const uint4*>(call.q + (first_head + head) * kDim + column), q[head]);
    partial[head].largest = -INFINITY;
    partial[head].total = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      q[head][i] *= call.scale;
      partial[head].out[i] = 0;
    }
  }
  const std::int32_t* pages = call.tables.pages + call.tables.page_begin[sequence];
  for (int key = begin + warp * S::kTileKeys; key < end; key += kWarps * S::kTileKeys) {
    const Bf16* keys = call.layer + call.layout.key_at(pages, kv_head, key);  // a tile lies inside a page
    attend_keys<kDim, kGroup>(keys, call.layout.value_offset(), key, end, q, partial);
  }

  // Lanes that hold the same dimensions of other keys, then the warps.
#pragma unroll
  for (int head = 0; head < kGroup; ++head) {
#pragma unroll
    for (int offset = S::kLanes; offset < kWarp; offset *= 2) {
      Partial other;
      other.largest = __shfl_xor_sync(0xffffffffu, partial[head].largest, offset);
      other.total = __shfl_xor_sync(0xffffffffu, partial[head].total, offset);
#pragma unroll
      for (int i = 0; i < 8; ++i) other.out[i] = __shfl_xor_sync(0xffffffffu, partial[head].out[i], offset);
      merge(partial[head], other);
    }
  }
  __shared__ Partial shared[kGroup][kWarps][S::kLanes];
  if (lane < S::kLanes) {
#pragma unroll
    for (int head = 0; head < kGroup; ++head) shared[head][warp][lane] = partial[head];
  }
  __syncthreads();
  for (int job = threadIdx.x; job < kGroup * S::kLanes; job += kWarps * kWarp) {
    const int head = job / S::kLanes, part = job % S::kLanes;
    Partial sum = shared[head][0][part];
    for (int other = 1; other < kWarps; ++other) merge(sum, shared[head][other][part]);
    if (n_used == 1) {
      const float scale = 1.0f / sum.total;
      Bf16* y = call.y + (first_head + head) * kDim + part * 8;
#pragma unroll
      for (int i = 0; i < 8; ++i) y[i] = __float2bfloat16(sum.out[i] * scale);
    } else {
      const std::int64_t at = (first_head + head) * n_splits + blockIdx.x;
#pragma unroll
      for (int i = 0; i < 8; ++i) parts.out[at * kDim + part * 8 + i] = sum.out[i];
      if (part == 0) parts.weight[at] = make_float2(sum.largest, sum.total);
    }
  }
  if (n_used == 1 || !is_last(parts.n_done + sequence * call.layout.n_kv_heads + kv_head, n_used)) return;
  for (int job = threadIdx.x; job < kGroup * kDim; job += kWarps * kWarp) {
    combine<kDim>(parts, first_head + job / kDim, n_splits, n_used, job % kDim, call.y);
  }
}

// ---- launch ---------------------------------------------------------------------------------------------------------

// Enough blocks that the last ones to finish keep few multiprocessors waiting; it depends on the number of sequences
// only, so a recorded graph serves sequences of any length.
int splits_for(const Context& context, const CausalCall& call) {
  const int blocks = 16 * context.n_multiprocessors(), pairs = call.n_sequences * call.layout.n_kv_heads;
  return std::clamp((blocks + pairs - 1) / pairs, 1, 64);
}

template <int kDim, int kGroup>
void launch(Context& context, const CausalCall& call) {
  const int n_splits = splits_for(context, call);
  const std::int64_t n_parts = static_cast<std::int64_t>(call.n_sequences) * call.n_heads * n_splits;
  float* memory = context.scratch<float>(Scratch::kAttention, n_splits == 1 ? 0 : n_parts * (kDim + 2));
  const Parts parts{memory + 2 * n_parts, reinterpret_cast<float2*>(memory),
                    context.counters(static_cast<std::int64_t>(call.n_sequences) * call.layout.n_kv_heads)};
  const dim3 grid(static_cast<unsigned>(n_splits), static_cast<unsigned>(call.layout.n_kv_heads),
                  static_cast<unsigned>(call.n_sequences));
  launch_overlapped(context, "attention_causal", grid, kWarps * kWarp, split_kernel<kDim, kGroup>, call, parts);
}

template <int kDim>
void launch_group(Context& context, const CausalCall& call) {
  switch (const int group = call.n_heads / call.layout.n_kv_heads) {
    case 1:
      return launch<kDim, 1>(context, call);
    case 2:
      return launch<kDim, 2>(context, call);
    case 4:
      return launch<kDim, 4>(context, call);
    default:
      throw Error(ErrorCode::kModel,
                  "cuda: " + std::to_string(group) + " query heads per key head, expected 1, 2 or 4");
  }
}

}  // namespace

void decode_attention(Context& context, const CausalCall& call) {
  if (call.layout.head_dim == 64) return launch_group<64>(context, call);
  launch_group<128>(context, call);
}

}  // namespace qasr::cuda
