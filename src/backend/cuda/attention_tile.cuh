// Attention of a tile of 64 queries over any number of keys on the matrix units: one block of four warps, 16 queries
// a warp, keys in tiles of 64, softmax carried from tile to tile. No score matrix in memory.
// Source: arXiv:2205.14135 (FlashAttention); fragment layouts of mma.m16n8k16: PTX ISA, "Warp Level Matrix".
#pragma once

#include "backend/cuda/cuda_error.h"
#include "backend/cuda/kernel_util.cuh"

namespace qasr::cuda {

constexpr int kTileQueries = 64, kTileKeys = 64, kTileThreads = 128;

// A padded row of a tile in shared memory: 16 bytes more, so that eight rows of ldmatrix fall into different banks.
template <int kDim>
constexpr int kTileStride = kDim + 8;

/// Bytes of shared memory: keys and values, two tiles each.
template <int kDim>
constexpr int kTileSharedBytes = 2 * 2 * kTileKeys* kTileStride<kDim> * 2;

struct QueryTile {
  const Bf16* q;  // first query, rows `q_stride` elements apart
  Bf16* y;        // its output, rows `y_stride` elements apart
  std::int64_t q_stride, y_stride;
  int n_queries;       // 1 ... 64
  int first_position;  // causal: key of the first query itself
  int n_keys;
  float scale;  // of scores, times log2(e)
};

__device__ inline void load_matrices(std::uint32_t (&r)[4], const Bf16* shared_row) {
  const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at));
}

__device__ inline void load_matrices_transposed(std::uint32_t (&r)[4], const Bf16* shared_row) {
  const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at));
}

// d += a b: a 16 x 16, b 16 x 8, f32 sums.
__device__ inline void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// One warp's running softmax over its 16 queries. A lane holds, of queries lane / 4 and lane / 4 + 8, two neighbouring
/// columns of every eight.
template <int kDim>
struct WarpState {
  std::uint32_t q[kDim / 16][4];
  float out[kDim / 8][4];
  float largest[2], total[2];
};

template <int kDim>
__device__ void start_warp(const QueryTile& tile, WarpState<kDim>& state) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = min(warp * 16 + lane / 4 + half * 8, tile.n_queries - 1);  // rows past the end repeat the last
    const Bf16* q = tile.q + row * tile.q_stride + (lane % 4) * 2;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      state.q[k][half] = *reinterpret_cast<const std::uint32_t*>(q + k * 16);
      state.q[k][half + 2] = *reinterpret_cast<const std::uint32_t*>(q + k * 16 + 8);
    }
    state.largest[half] = -INFINITY;
    state.total[half] = 0;
  }
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) state.out[n][i] = 0;
  }
}

// scores [16, 64] = q k^T
template <int kDim>
__device__ void score_keys(const WarpState<kDim>& state, const Bf16* keys, float (&scores)[8][4]) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) scores[n][i] = 0;
    const Bf16* row = keys + (n * 8 + lane % 8) * kTileStride<kDim> + (lane / 8) * 8;
#pragma unroll
    for (int k = 0; k < kDim / 32; ++k) {
      std::uint32_t b[4];
      load_matrices(b, row + k * 32);
      multiply_add(scores[n], state.q[2 * k], b[0], b[1]);
      multiply_add(scores[n], state.q[2 * k + 1], b[2], b[3]);
    }
  }
}

// Keys from n_keys on, and for causal attention those after the query, count nothing.
template <bool kCausal>
__device__ void mask_scores(const QueryTile& tile, int first_key, float (&scores)[8][4]) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int key = first_key + n * 8 + (lane % 4) * 2 + i % 2;
      const int position = tile.first_position + warp * 16 + lane / 4 + (i / 2) * 8;
      if (key >= tile.n_keys || (kCausal && key > position)) scores[n][i] = -INFINITY;
    }
  }
}

// Scores become weights relative to the largest score so far; what was summed before is rescaled to it.
template <int kDim>
__device__ void softmax_step(float scale, float (&scores)[8][4], WarpState<kDim>& state) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = state.largest[half];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]) * scale);
    }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float base = largest == -INFINITY ? 0.0f : largest;
    const float rescale = exp2f(state.largest[half] - base);
    state.largest[half] = largest;
    float total = 0;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        scores[n][i] = exp2f(scores[n][i] * scale - base);
        total += scores[n][i];
      }
    }
    state.total[half] = state.total[half] * rescale + total;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      state.out[n][2 * half] *= rescale;
      state.out[n][2 * half + 1] *= rescale;
    }
  }
}

// out += weights values
template <int kDim>
__device__ void add_values(const float (&weights)[8][4], const Bf16* values, WarpState<kDim>& state) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int k = 0; k < kTileKeys / 16; ++k) {
    const std::uint32_t a[4] = {pack_bf16(weights[2 * k][0], weights[2 * k][1]),
                                pack_bf16(weights[2 * k][2], weights[2 * k][3]),
                                pack_bf16(weights[2 * k + 1][0], weights[2 * k + 1][1]),
                                pack_bf16(weights[2 * k + 1][2], weights[2 * k + 1][3])};
    const Bf16* row = values + (k * 16 + lane % 16) * kTileStride<kDim> + (lane / 16) * 8;
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      std::uint32_t b[4];
      load_matrices_transposed(b, row + n * 16);
      multiply_add(state.out[2 * n], a, b[0], b[1]);
      multiply_add(state.out[2 * n + 1], a, b[2], b[3]);
    }
  }
}

template <int kDim>
__device__ void write_warp(const QueryTile& tile, WarpState<kDim>& state) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float total = state.total[half];
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    total += __shfl_xor_sync(0xffffffffu, total, 2);
    const int row = warp * 16 + lane / 4 + half * 8;
    if (row >= tile.n_queries) continue;
    const float inverse = 1.0f / total;
    Bf16* y = tile.y + row * tile.y_stride + (lane % 4) * 2;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      *reinterpret_cast<std::uint32_t*>(y + n * 8) =
          pack_bf16(state.out[n][2 * half] * inverse, state.out[n][2 * half + 1] * inverse);
    }
  }
}

/// Where the rows of up to kTileKeys keys and values are in global memory.
struct KeyRows {
  const Bf16 *keys, *values;
  std::int64_t stride;
};

/// Keys: `KeyRows tile(int first_key)` for multiples of kTileKeys.
template <int kDim, bool kCausal, typename Keys>
__device__ void attend_tile(const QueryTile& tile, const Keys& keys, Bf16* shared) {
  constexpr int kTileElements = kTileKeys * kTileStride<kDim>;
  const auto fetch = [&](int first_key, int stage) {
    Bf16* to = shared + stage * 2 * kTileElements;
    const KeyRows from = keys.tile(first_key);
    for (int piece = threadIdx.x; piece < kTileKeys * kDim / 8; piece += kTileThreads) {
      const int row = piece / (kDim / 8), column = piece % (kDim / 8) * 8;
      const bool valid = first_key + row < tile.n_keys;  // past the end: zeros, so that 0 * value stays 0
      const std::int64_t at = valid ? row * from.stride + column : 0;
      Bf16* place = to + row * kTileStride<kDim> + column;
      copy_async16(place, from.keys + at, valid);
      copy_async16(place + kTileElements, from.values + at, valid);
    }
  };

  WarpState<kDim> state;
  start_warp(tile, state);
  const int last_key = kCausal ? min(tile.n_keys, tile.first_position + tile.n_queries) : tile.n_keys;
  fetch(0, 0);
  commit_copies();
  for (int first_key = 0, stage = 0; first_key < last_key; first_key += kTileKeys, stage ^= 1) {
    if (first_key + kTileKeys < last_key) fetch(first_key + kTileKeys, stage ^ 1);
    commit_copies();
    wait_copies<1>();
    __syncthreads();
    const Bf16* tile_keys = shared + stage * 2 * kTileElements;
    float scores[8][4];
    score_keys(state, tile_keys, scores);
    if (first_key + kTileKeys > tile.n_keys || (kCausal && first_key + kTileKeys > tile.first_position)) {
      mask_scores<kCausal>(tile, first_key, scores);
    }
    softmax_step(tile.scale, scores, state);
    add_values(scores, tile_keys + kTileElements, state);
    __syncthreads();
  }
  write_warp(tile, state);
}

/// Lets a kernel use its dynamic shared memory where it needs more than the 48 KiB every kernel may have.
template <typename Kernel>
void allow_shared_bytes(Kernel kernel, int bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "shared memory");
}

}  // namespace qasr::cuda
