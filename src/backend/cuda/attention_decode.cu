// See attention_decode.h. The cached positions of a sequence are cut into splits; a block computes all query heads of
// one KV head over one split, so every key and value is read once from memory. Within a block a warp takes kTileKeys
// keys at a time: kLanes lanes hold one key, 16 bytes each, and a warp has 16 or more loads under way before the first
// is used. The block whose split ends with the new position also normalises, rotates and stores that position's key and
// value. The block that finishes the last split of a head puts the splits together.
#include <algorithm>
#include <string>

#include "backend/cuda/attention_decode.h"
#include "backend/cuda/head_lanes.cuh"
#include "backend/cuda/launch.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kWarps = 4;
constexpr int kSplitGrain = 64;  // positions; a split starts at a multiple
constexpr int kMaxSplits = 64;

// Positions of one of n_splits splits; splits from ceil(n_keys / size) on are empty.
__host__ __device__ inline int split_size(int n_keys, int n_splits) {
  const int size = (n_keys + n_splits - 1) / n_splits;
  return (size + kSplitGrain - 1) / kSplitGrain * kSplitGrain;
}

template <int kDim, typename Element>
struct DecodeShape : HeadLanes<kDim, Element> {
  static constexpr int kLoads = 8;
  static constexpr int kTileKeys = HeadLanes<kDim, Element>::kKeysAtOnce * kLoads;
  static_assert(kTileKeys <= kSplitGrain);
};

// Running softmax of one query head: of the keys seen by a lane, kEach dimensions.
template <int kEach>
struct Partial {
  float largest, total, out[kEach];
};

template <int kEach>
__device__ void merge(Partial<kEach>& into, const Partial<kEach>& other) {
  const float largest = fmaxf(into.largest, other.largest);
  const float base = largest == -INFINITY ? 0.0f : largest;
  const float a = fast_exp2(into.largest - base), b = fast_exp2(other.largest - base);
  into.largest = largest;
  into.total = into.total * a + other.total * b;
#pragma unroll
  for (int i = 0; i < kEach; ++i) into.out[i] = into.out[i] * a + other.out[i] * b;
}

// Raises the largest score to at least that of `scores`, which become weights.
template <int kEach, int n>
__device__ void start_weights(Partial<kEach>& p, float (&scores)[n]) {
  float largest = p.largest;
#pragma unroll
  for (int i = 0; i < n; ++i) largest = fmaxf(largest, scores[i]);
  const float base = largest == -INFINITY ? 0.0f : largest, rescale = fast_exp2(p.largest - base);
  p.largest = largest;
  p.total *= rescale;
#pragma unroll
  for (int i = 0; i < kEach; ++i) p.out[i] *= rescale;
#pragma unroll
  for (int i = 0; i < n; ++i) {
    scores[i] = fast_exp2(scores[i] - base);
    p.total += scores[i];
  }
}

// Keys and values are read once a step: nothing of them is worth keeping in the L1 cache, and those of a head follow
// one another, so memory is asked for 256 bytes at a time.
__device__ inline uint4 load_once(const void* from) {
  uint4 word;
  asm volatile("ld.global.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(word.x), "=r"(word.y), "=r"(word.z), "=r"(word.w)
               : "l"(from));
  return word;
}

// kTileKeys keys and values as they come from memory.
template <int kDim, typename Element>
struct Tile {
  using S = DecodeShape<kDim, Element>;
  uint4 keys[S::kLoads], values[S::kLoads];
  float key_scales[S::kLoads], value_scales[S::kLoads];  // Fp8 only

  // From first_key on; past the end: any valid key.
  __device__ void load(const CacheLayer<Element>& layer, std::int64_t first, int value_offset, int n_valid) {
    const int lane = threadIdx.x % kWarp, column = lane % S::kLanes * S::kEach, own = lane / S::kLanes;
    const auto at = [&](int load) { return first + min(load * S::kKeysAtOnce + own, n_valid - 1) * kDim; };
#pragma unroll
    for (int load = 0; load < S::kLoads; ++load) {
      keys[load] = load_once(layer.elements + at(load) + column);
      if constexpr (sizeof(Element) == 1) key_scales[load] = layer.scales[at(load) / kDim];
    }
#pragma unroll
    for (int load = 0; load < S::kLoads; ++load) {
      values[load] = load_once(layer.elements + value_offset + at(load) + column);
      if constexpr (sizeof(Element) == 1) value_scales[load] = layer.scales[(value_offset + at(load)) / kDim];
    }
  }

  // Adds the first n_valid keys to the partial results of kGroup query heads.
  template <int kGroup>
  __device__ void attend(int n_valid, const float (&q)[kGroup][S::kEach], Partial<S::kEach> (&partial)[kGroup]) const {
    const int own = threadIdx.x % kWarp / S::kLanes;
    float scores[kGroup][S::kLoads];
#pragma unroll
    for (int load = 0; load < S::kLoads; ++load) {
      float key[S::kEach];
      widen_word<Element>(keys[load], key);
#pragma unroll
      for (int head = 0; head < kGroup; ++head) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < S::kEach; ++i) sum += q[head][i] * key[i];
        sum = key_sum<S>(sum);
        if constexpr (sizeof(Element) == 1) sum *= key_scales[load];
        scores[head][load] = load * S::kKeysAtOnce + own < n_valid ? sum : -INFINITY;
      }
    }
#pragma unroll
    for (int head = 0; head < kGroup; ++head) start_weights(partial[head], scores[head]);
#pragma unroll
    for (int load = 0; load < S::kLoads; ++load) {
      float value[S::kEach];
      widen_word<Element>(values[load], value);
#pragma unroll
      for (int head = 0; head < kGroup; ++head) {
        float weight = scores[head][load];
        if constexpr (sizeof(Element) == 1) weight *= value_scales[load];
#pragma unroll
        for (int i = 0; i < S::kEach; ++i) partial[head].out[i] += weight * value[i];
      }
    }
  }
};

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

// Puts the splits of kGroup heads together, in ascending order whichever block finished last. Loads do not wait for one
// another: their latency would be most of the time of a step of one sequence.
template <int kDim, int kGroup>
__device__ void combine(const Parts& parts, std::int64_t first_head, int n_used, Bf16* y) {
  __shared__ float scales[kGroup][kMaxSplits], inverses[kGroup];
  const int n_splits = gridDim.x, lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  if (warp < kGroup) {
    const float2* weight = parts.weight + (first_head + warp) * n_splits;
    float2 part[kMaxSplits / kWarp];
    float largest = -INFINITY, total = 0;
#pragma unroll
    for (int i = 0; i < kMaxSplits / kWarp; ++i) {
      const int split = lane + i * kWarp;
      part[i] = split < n_used ? __ldcg(weight + split) : make_float2(-INFINITY, 0.0f);
      largest = fmaxf(largest, part[i].x);
    }
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
    }
#pragma unroll
    for (int i = 0; i < kMaxSplits / kWarp; ++i) {
      const float scale = fast_exp2(part[i].x - largest);
      scales[warp][lane + i * kWarp] = scale;
      total += scale * part[i].y;
    }
    total = warp_sum(total);
    if (lane == 0) inverses[warp] = 1.0f / total;
  }
  __syncthreads();
  for (int job = threadIdx.x; job < kGroup * kDim; job += kWarps * kWarp) {
    const int head = job / kDim, dim = job % kDim;
    const float* out = parts.out + (first_head + head) * n_splits * kDim + dim;
    float sum = 0;
#pragma unroll 8
    for (int split = 0; split < n_used; ++split) sum += scales[head][split] * __ldcg(out + split * kDim);
    y[(first_head + head) * kDim + dim] = __float2bfloat16(sum * inverses[head]);
  }
}

// The new position: its key and value go to the cache, and one warp attends to them from registers.
template <int kDim, int kGroup, typename Element>
__device__ void append_and_attend(const DecodeCall<Element>& call, const Bf16* row, int kv_head, std::int64_t at,
                                  const float* cosine, const float* sine,
                                  const float (&q)[kGroup][DecodeShape<kDim, Element>::kEach],
                                  Partial<DecodeShape<kDim, Element>::kEach> (&partial)[kGroup]) {
  using S = DecodeShape<kDim, Element>;
  const bool writes = threadIdx.x % kWarp < S::kLanes;
  float key[S::kEach], value[S::kEach];
  load_head<S>(row + (call.n_heads + kv_head) * kDim, key);
  load_head<S>(row + (call.n_heads + call.layout.n_kv_heads + kv_head) * kDim, value);
  normalise_and_rotate<kDim, S>(call.k_norm, call.eps, cosine, sine, key);
  store_vector<kDim, Element>(call.layer, at, writes, key);
  store_vector<kDim, Element>(call.layer, at + call.layout.value_offset(), writes, value);
#pragma unroll
  for (int head = 0; head < kGroup; ++head) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) sum += q[head][i] * key[i];
    sum = key_sum<S>(sum);
    float weight[1] = {writes ? sum : -INFINITY};
    start_weights(partial[head], weight);
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) partial[head].out[i] += weight[0] * value[i];
  }
}

// What a block found goes to y, or to `parts` if other blocks have more of these heads.
template <int kDim, int kGroup, int kEach, int kLanes>
__device__ void write_partials(Partial<kEach> (&partial)[kGroup], std::int64_t first_head, bool alone,
                               const Parts& parts, Bf16* y) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, n_splits = gridDim.x;
  // Lanes that hold the same dimensions of other keys, then the warps.
#pragma unroll
  for (int head = 0; head < kGroup; ++head) {
#pragma unroll
    for (int offset = kLanes; offset < kWarp; offset *= 2) {
      Partial<kEach> other;
      other.largest = __shfl_xor_sync(0xffffffffu, partial[head].largest, offset);
      other.total = __shfl_xor_sync(0xffffffffu, partial[head].total, offset);
#pragma unroll
      for (int i = 0; i < kEach; ++i) other.out[i] = __shfl_xor_sync(0xffffffffu, partial[head].out[i], offset);
      merge(partial[head], other);
    }
  }
  __shared__ Partial<kEach> shared[kGroup][kWarps][kLanes];
  if (lane < kLanes) {
#pragma unroll
    for (int head = 0; head < kGroup; ++head) shared[head][warp][lane] = partial[head];
  }
  __syncthreads();
  for (int job = threadIdx.x; job < kGroup * kLanes; job += kWarps * kWarp) {
    const int head = job / kLanes, part = job % kLanes;
    Partial<kEach> sum = shared[head][0][part];
    for (int other = 1; other < kWarps; ++other) merge(sum, shared[head][other][part]);
    if (alone) {
      const float scale = 1.0f / sum.total;
      Bf16* to = y + (first_head + head) * kDim + part * kEach;
#pragma unroll
      for (int i = 0; i < kEach; ++i) to[i] = __float2bfloat16(sum.out[i] * scale);
    } else {
      const std::int64_t at = (first_head + head) * n_splits + blockIdx.x;
#pragma unroll
      for (int i = 0; i < kEach; ++i) parts.out[at * kDim + part * kEach + i] = sum.out[i];
      if (part == 0) parts.weight[at] = make_float2(sum.largest, sum.total);
    }
  }
}

//   grid (n_splits, n_kv_heads, n_sequences)
template <int kDim, int kGroup, typename Element>
__global__ __launch_bounds__(kWarps* kWarp) void split_kernel(DecodeCall<Element> call, Parts parts,
                                                              Upcoming upcoming) {
  using S = DecodeShape<kDim, Element>;
  let_next_start();
  prefetch_share(upcoming);
  const int sequence = blockIdx.z, kv_head = blockIdx.y, n_splits = gridDim.x, warp = threadIdx.x / kWarp;
  const int n_past = call.tables.n_past[sequence], n_keys = n_past + 1;
  const int size = split_size(n_keys, n_splits), n_used = (n_keys + size - 1) / size;
  const int begin = blockIdx.x * size, end = min(begin + size, n_past);
  if (begin > n_past) return;

  // Cached positions are at least a step old, and between two steps lies an upload of their tables: the first tile may
  // be on its way before the kernel before this one has finished.
  const std::int32_t* pages = call.tables.pages + call.tables.page_begin[sequence];
  const int value_offset = static_cast<int>(call.layout.value_offset());
  Tile<kDim, Element> tile;
  int key = begin + warp * S::kTileKeys;
  if (key < end) tile.load(call.layer, call.layout.key_at(pages, kv_head, key), value_offset, end - key);
  wait_for_inputs();

  const Bf16* row = call.qkv + static_cast<std::int64_t>(sequence) * (call.n_heads + 2 * call.layout.n_kv_heads) * kDim;
  const float* cosine = call.cosine + static_cast<std::int64_t>(n_past) * (kDim / 2);
  const float* sine = call.sine + static_cast<std::int64_t>(n_past) * (kDim / 2);
  float q[kGroup][S::kEach];
  Partial<S::kEach> partial[kGroup];
#pragma unroll
  for (int head = 0; head < kGroup; ++head) {
    load_head<S>(row + (kv_head * kGroup + head) * kDim, q[head]);
    normalise_and_rotate<kDim, S>(call.q_norm, call.eps, cosine, sine, q[head]);
    partial[head].largest = -INFINITY;
    partial[head].total = 0;
#pragma unroll
    for (int i = 0; i < S::kEach; ++i) {
      q[head][i] *= call.scale;
      partial[head].out[i] = 0;
    }
  }
  while (key < end) {  // a tile lies inside a page
    tile.attend(end - key, q, partial);
    key += kWarps * S::kTileKeys;
    if (key < end) tile.load(call.layer, call.layout.key_at(pages, kv_head, key), value_offset, end - key);
  }
  if (begin + size > n_past && warp == 0) {
    append_and_attend<kDim, kGroup, Element>(call, row, kv_head, call.layout.key_at(pages, kv_head, n_past), cosine,
                                             sine, q, partial);
  }

  const std::int64_t first_head = static_cast<std::int64_t>(sequence) * call.n_heads + kv_head * kGroup;
  write_partials<kDim, kGroup, S::kEach, S::kLanes>(partial, first_head, n_used == 1, parts, call.y);
  if (n_used == 1 || !is_last(parts.n_done + sequence * call.layout.n_kv_heads + kv_head, n_used)) return;
  combine<kDim, kGroup>(parts, first_head, n_used, call.y);
}

// ---- launch ---------------------------------------------------------------------------------------------------------

// Enough blocks that the last ones to finish keep few multiprocessors waiting; it depends on the number of sequences
// only, so a recorded graph serves sequences of any length.
int splits_for(const Context& context, int n_pairs) {
  return std::clamp((16 * context.n_multiprocessors() + n_pairs - 1) / n_pairs, 1, kMaxSplits);
}

template <int kDim, int kGroup, typename Element>
void launch(Context& context, const DecodeCall<Element>& call) {
  const int n_kv_heads = call.layout.n_kv_heads, n_splits = splits_for(context, call.n_sequences * n_kv_heads);
  const std::int64_t n_parts = static_cast<std::int64_t>(call.n_sequences) * call.n_heads * n_splits;
  float* memory = context.scratch<float>(Scratch::kAttention, n_splits == 1 ? 0 : n_parts * (kDim + 2));
  const Parts parts{memory + 2 * n_parts, reinterpret_cast<float2*>(memory),
                    context.counters(static_cast<std::int64_t>(call.n_sequences) * n_kv_heads)};
  const dim3 grid(static_cast<unsigned>(n_splits), static_cast<unsigned>(n_kv_heads),
                  static_cast<unsigned>(call.n_sequences));
  launch_overlapped(context, "decode attention", grid, kWarps * kWarp, split_kernel<kDim, kGroup, Element>, call, parts,
                    upcoming_for(context, call.n_sequences));
}

template <int kDim, typename Element>
void launch_group(Context& context, const DecodeCall<Element>& call) {
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

template <typename Element>
void decode_attention(Context& context, const DecodeCall<Element>& call) {
  if (call.layout.head_dim == 64) return launch_group<64>(context, call);
  launch_group<128>(context, call);
}

template void decode_attention(Context&, const DecodeCall<Bf16>&);
template void decode_attention(Context&, const DecodeCall<Fp8>&);

}  // namespace qasr::cuda
