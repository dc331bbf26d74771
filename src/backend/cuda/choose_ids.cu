// Drawing and penalties: a block per row goes over its logits a few times. Nothing is copied or sorted; penalties and
// temperature are applied as logits are read.
//
//   1  the largest processed logit, which is the choice without a temperature
//   2  top-k, top-p: the threshold, by histograms of counts or weights that get finer around it
//   3  the draw: sums over tiles of 1,024 ids find the tile, a sum over its ids the id
//
// Weights exp(logit - largest) are integers, in units of 2^-44: sums are exact, and the same in any order.
#include <cmath>
#include <string>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/op_checks.h"
#include "backend/token_choice.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

using Amount = unsigned long long;

constexpr int kThreads = 1024, kWarps = kThreads / kWarp;
constexpr int kLoads = 8;              // of a thread under way at a time
constexpr int kMostIds = 1 << 18;      // a bit each, twice, in shared memory; kMostIds / kThreads tiles
constexpr float kOne = 0x1p44f;        // the weight of the largest logit
constexpr float kBucketsPerUnit = 32;  // of the first histogram: its last bucket has weights below 2^-44
constexpr unsigned kAllIds = ~0u;

// What the threads of a block share.
struct Shared {
  Amount buckets[kThreads];
  Amount warps[kWarps];
  Amount before, total;
  int place;
  unsigned lowest, highest;
};

/// The processed logits of one row. Not a number counts as excluded.
struct Row {
  const float* logits;
  int vocab;
  const unsigned *seen, *banned;  // a bit per id; null: none
  float penalty, temperature;

  __device__ float process(int id, float value) const {
    if (seen != nullptr) {
      const unsigned bit = 1u << id % 32;
      if ((seen[id / 32] & bit) != 0) value = value < 0 ? value * penalty : value / penalty;
      if ((banned[id / 32] & bit) != 0) value = -INFINITY;
    }
    if (temperature > 0) value /= temperature;
    return value == value ? value + 0.0f : -INFINITY;  // -0 becomes 0
  }
  /// fn(id, value) of all ids, spread over the block.
  template <typename Fn>
  __device__ void for_each(Fn fn) const {
    for (int first = threadIdx.x; first < vocab; first += kThreads * kLoads) {
      float values[kLoads];
#pragma unroll
      for (int i = 0; i < kLoads; ++i) values[i] = first + i * kThreads < vocab ? logits[first + i * kThreads] : 0;
#pragma unroll
      for (int i = 0; i < kLoads; ++i) {
        const int id = first + i * kThreads;
        if (id < vocab) fn(id, process(id, values[i]));
      }
    }
  }
};

/// The ids that may be drawn: keys from `least` on, and of those that equal `tied_key` only ids above `tied_id`.
struct Kept {
  unsigned least = 0, tied_key = 0;
  int tied_id = -1;
  __device__ bool holds(int id, float value) const {
    const unsigned key = ordered_bits(value);
    return key >= least && (key != tied_key || id > tied_id);
  }
};

__device__ Amount weight_of(float value, float largest) { return __float2ull_rn(expf(value - largest) * kOne); }

__device__ Amount warp_total(Amount v) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(kAllIds, v, offset);
  return v;
}

// Where the running sum of the threads' amounts, in order, first exceeds target(total): s.place is the thread, s.before
// the sum before it. The last thread and the sum of the others if it never does.
template <typename Target>
__device__ void locate(Amount amount, Target target, Shared& s) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  Amount sum = amount;
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const Amount other = __shfl_up_sync(kAllIds, sum, offset);
    if (lane >= offset) sum += other;
  }
  __syncthreads();  // s is free
  if (lane == kWarp - 1) s.warps[warp] = sum;
  __syncthreads();
  const Amount of_lane = s.warps[lane], earlier = warp_total(lane < warp ? of_lane : 0), total = warp_total(of_lane);
  const Amount until = earlier + sum, from = until - amount, wanted = target(total);
  const bool is_last = threadIdx.x == kThreads - 1 && until <= wanted;
  if ((from <= wanted && wanted < until) || is_last) {
    s.place = threadIdx.x;
    s.before = from;
    s.total = total;
  }
  __syncthreads();
}

// The first id, in order, at which the running sum of amount(id, value) exceeds target(total).
template <typename Of, typename Target>
__device__ int find_in_order(const Row& row, Of amount_of, Target target, Shared& s) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int n_tiles = (row.vocab + kThreads - 1) / kThreads;
  s.buckets[threadIdx.x] = 0;
  __syncthreads();
  for (int tile = warp; tile < n_tiles; tile += kWarps) {
    Amount sum = 0;
#pragma unroll 8
    for (int i = lane; i < kThreads; i += kWarp) {
      const int id = tile * kThreads + i;
      if (id < row.vocab) sum += amount_of(id, row.process(id, row.logits[id]));
    }
    sum = warp_total(sum);
    if (lane == 0) s.buckets[tile] = sum;
  }
  __syncthreads();
  locate(s.buckets[threadIdx.x], target, s);
  const int tile = s.place, id = tile * kThreads + threadIdx.x;
  const Amount before = s.before, wanted = target(s.total);
  const Amount amount = id < row.vocab ? amount_of(id, row.process(id, row.logits[id])) : 0;
  locate(
      amount, [&](Amount) { return wanted - before; }, s);
  return min(tile * kThreads + s.place, row.vocab - 1);
}

/// The key at which the running sum of amounts, from the largest key down, first exceeds `wanted`; the sum above it.
struct Threshold {
  unsigned key;
  Amount above, wanted;
};

// amount_of(value) is 0 for what does not count, and for what is 32 below the largest or more, unless it is 1 for all.
template <typename Of, typename Target>
__device__ Threshold find_threshold(const Row& row, float largest, Of amount_of, Target target, Shared& s) {
  const auto first_bucket = [&](float value) {
    return min(static_cast<int>((largest - value) * kBucketsPerUnit), kThreads - 1);
  };
  s.buckets[threadIdx.x] = 0;
  if (threadIdx.x == 0) s.lowest = kAllIds, s.highest = 0;
  __syncthreads();
  row.for_each([&](int, float value) {
    const int bucket = first_bucket(value);
    const Amount amount = bucket < kThreads - 1 ? amount_of(value) : 0;  // the rest is what the others do not reach
    if (amount > 0) atomicAdd(&s.buckets[bucket], amount);
  });
  __syncthreads();
  locate(s.buckets[threadIdx.x], target, s);
  const int bucket = s.place;
  Threshold found{0, s.before, target(s.total)};
  unsigned low = kAllIds, high = 0;
  row.for_each([&](int, float value) {
    if (first_bucket(value) != bucket || amount_of(value) == 0) return;
    low = min(low, ordered_bits(value));
    high = max(high, ordered_bits(value));
  });
  atomicMin(&s.lowest, __reduce_min_sync(kAllIds, low));
  atomicMax(&s.highest, __reduce_max_sync(kAllIds, high));
  __syncthreads();
  low = s.lowest, high = s.highest;
  __syncthreads();  // before another call sets them
  while (low < high) {
    const int shift = max(0, 22 - __clz(static_cast<int>(high - low)));  // (high - low) >> shift is below kThreads
    s.buckets[threadIdx.x] = 0;
    __syncthreads();
    row.for_each([&](int, float value) {
      const unsigned key = ordered_bits(value);
      if (key >= low && key <= high) atomicAdd(&s.buckets[(high - key) >> shift], amount_of(value));
    });
    __syncthreads();
    locate(
        s.buckets[threadIdx.x], [&](Amount) { return found.wanted - found.above; }, s);
    found.above += s.before;
    high -= static_cast<unsigned>(s.place) << shift;
    low = max(low, high - ((1u << shift) - 1));
  }
  found.key = high;
  return found;
}

// Keeps the k largest and what equals the k-th.
__device__ void keep_top_k(const Row& row, float largest, int k, Kept& kept, Shared& s) {
  if (k >= row.vocab) return;
  const auto wanted = [=](Amount) { return static_cast<Amount>(k - 1); };
  kept.least = find_threshold(
                   row, largest, [](float) -> Amount { return 1; }, wanted, s)
                   .key;
}

// Excludes the least likely whose summed weight is at most 1 - top_p, the lower ids of equal ones first: what is above
// an id that stays weighs less than the total without that share.
__device__ void keep_top_p(const Row& row, float largest, double top_p, Kept& kept, Shared& s) {
  const unsigned least = kept.least;
  const auto weight = [=](float value) { return ordered_bits(value) >= least ? weight_of(value, largest) : 0; };
  const auto most_above = [=](Amount total) {  // of an id that stays
    const auto share = static_cast<Amount>((1 - top_p) * static_cast<double>(total));
    return total - min(share, total - 1) - 1;
  };
  const Threshold found = find_threshold(row, largest, weight, most_above, s);
  kept.least = found.key;
  int n_equal = 0;
  row.for_each([&](int, float value) { n_equal += ordered_bits(value) == found.key ? 1 : 0; });
  if (threadIdx.x == 0) s.total = 0;
  __syncthreads();
  if (n_equal > 0) atomicAdd(&s.total, static_cast<Amount>(n_equal));
  __syncthreads();
  const Amount of_one = weight_of(from_ordered_bits(found.key), largest);
  const Amount n_kept = of_one == 0 ? s.total : (found.wanted - found.above) / of_one + 1;
  if (s.total <= n_kept) return;
  const Amount n_excluded = s.total - n_kept;
  const auto is_equal = [=](int, float value) -> Amount { return ordered_bits(value) == found.key ? 1 : 0; };
  const int last_excluded = find_in_order(
      row, is_equal, [=](Amount) { return n_excluded - 1; }, s);
  kept.tied_key = found.key;
  kept.tied_id = last_excluded;
}

// Marks the tokens of the history, and those that would complete an n-gram of it a second time.
__device__ void mark_history(const ChoiceRecord& record, const std::int32_t* history, int vocab, unsigned* seen,
                             unsigned* banned) {
  const int words = (vocab + 31) / 32, n = record.n_history, prefix = record.no_repeat_ngram_size - 1;
  for (int word = threadIdx.x; word < words; word += kThreads) seen[word] = banned[word] = 0;
  __syncthreads();
  const auto mark = [&](unsigned* bits, std::int32_t id) {
    if (id >= 0 && id < vocab) atomicOr(&bits[id / 32], 1u << id % 32);
  };
  for (int at = threadIdx.x; at < n; at += kThreads) {
    mark(seen, history[at]);
    if (prefix < 0 || at < prefix) continue;
    bool repeats = true;  // the ids before `at` are the last ones
    for (int i = 0; i < prefix && repeats; ++i) repeats = history[at - prefix + i] == history[n - prefix + i];
    if (repeats) mark(banned, history[at]);
  }
  __syncthreads();
}

__device__ int most_likely(const Row& row, Shared& s) {
  Amount best = 0;  // key, then the lowest id
  row.for_each([&](int id, float value) {
    best = max(best, static_cast<Amount>(ordered_bits(value)) << 32 | (kAllIds - static_cast<unsigned>(id)));
  });
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) best = max(best, __shfl_xor_sync(kAllIds, best, offset));
  if (threadIdx.x % kWarp == 0) s.warps[threadIdx.x / kWarp] = best;
  __syncthreads();
  best = s.warps[threadIdx.x % kWarp];
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) best = max(best, __shfl_xor_sync(kAllIds, best, offset));
  return static_cast<int>(kAllIds - static_cast<unsigned>(best));
}

__device__ int draw(const Row& row, const ChoiceRecord& record, double uniform, Shared& s) {
  const int best = most_likely(row, s);
  const float largest = row.process(best, row.logits[best]);
  if (row.temperature <= 0 || !isfinite(largest)) return best;
  Kept kept;
  if (record.top_k > 0) keep_top_k(row, largest, record.top_k, kept, s);
  if (record.top_p < 1) keep_top_p(row, largest, record.top_p, kept, s);
  const auto weight = [=](int id, float value) { return kept.holds(id, value) ? weight_of(value, largest) : 0; };
  const auto drawn = [=](Amount total) {
    return min(static_cast<Amount>(uniform * static_cast<double>(total)), total - 1);
  };
  return find_in_order(row, weight, drawn, s);
}

//   logits [rows, vocab]    table: see token_choice.h    ids [rows]; one row a block
// Shared memory: Shared, then two bits per id.
__global__ __launch_bounds__(kThreads) void choose_kernel(const float* logits, int vocab, std::int32_t* table,
                                                          std::int32_t* ids) {
  extern __shared__ Amount dynamic[];
  let_next_start();
  wait_for_inputs();
  auto& record_in_table = reinterpret_cast<ChoiceRecord*>(table)[blockIdx.x];
  ChoiceRecord record = record_in_table;
  if (record.draws_or_penalises == 0) return;
  Shared& s = *reinterpret_cast<Shared*>(dynamic);
  unsigned* seen = reinterpret_cast<unsigned*>(&s + 1);
  unsigned* banned = seen + (vocab + 31) / 32;
  std::int32_t* history = table + record.history_begin;
  const bool looks_back = record.repetition_penalty != 1 || record.no_repeat_ngram_size > 0;
  if (looks_back) mark_history(record, history, vocab, seen, banned);
  const Row row{logits + static_cast<std::int64_t>(blockIdx.x) * vocab,
                vocab,
                looks_back ? seen : nullptr,
                banned,
                record.repetition_penalty,
                record.temperature};
  const double uniform = record.temperature > 0 ? next_uniform(record.random_state) : 0;
  const int id = draw(row, record, uniform, s);
  if (threadIdx.x != 0) return;
  ids[blockIdx.x] = id;
  if (record.n_history < record.history_capacity) history[record.n_history++] = id;
  record_in_table = record;
}

}  // namespace

// ---- launch ---------------------------------------------------------------------------------------------------------

void CudaBackend::choose_ids(ConstTensorView logits, TensorView table, TensorView ids) {
  check_choose_ids(logits, table, ids);
  if (logits.cols() > kMostIds) {
    throw Error(ErrorCode::kModel, "cuda: drawing from a vocabulary of " + std::to_string(logits.cols()) +
                                       " tokens, expected at most " + std::to_string(kMostIds));
  }
  if (logits.rows() == 0) return;
  const Context::Use use(context_);
  const std::size_t shared_bytes = sizeof(Shared) + static_cast<std::size_t>(ceil_div(logits.cols(), 32)) * 8;
  launch_overlapped_shared(context_, "choose_ids", static_cast<unsigned>(logits.rows()), kThreads, shared_bytes,
                           choose_kernel, logits.as<float>(), static_cast<int>(logits.cols()), table.as<std::int32_t>(),
                           ids.as<std::int32_t>());
}

}  // namespace qasr::cuda
