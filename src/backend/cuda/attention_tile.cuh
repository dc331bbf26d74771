// Attention of a tile of 64 queries over any number of keys on the matrix units: one block of four warps, 16 queries
// a warp, keys in tiles of 64, softmax carried from tile to tile. No score matrix in memory. Query heads that share
// keys may share a block: each fragment of keys and values that a warp loads from shared memory then serves kHeads
// products. Source: arXiv:2205.14135 (FlashAttention).
#pragma once

#include "backend/cuda/cuda_error.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/warp_matrix.cuh"

namespace qasr::cuda {

constexpr int kTileQueries = 64, kTileKeys = 64, kTileThreads = 128;
constexpr int kStepKeys = 32;  // whose scores are in registers at once

// A padded row of a tile in shared memory: 16 bytes more, so that eight rows of ldmatrix fall into different banks.
template <int kDim>
constexpr int kTileStride = kDim + 8;

/// Bytes of shared memory: keys and values, two tiles each; the queries of kHeads heads.
template <int kDim, int kHeads>
constexpr int kTileSharedBytes = (2 * 2 * kTileKeys + kHeads * kTileQueries) * kTileStride<kDim> * 2;

struct QueryTile {
  const Bf16* q;  // first query of the first head, rows `q_stride` elements apart; further heads follow in the row
  Bf16* y;        // its output, rows `y_stride` elements apart
  std::int64_t q_stride, y_stride;
  int n_queries;       // 1 ... 64
  int first_position;  // causal: key of the first query itself
  int n_keys;
  float scale;  // of scores, times log2(e)
};

/// One warp's running softmax over its 16 queries of kHeads heads. A lane holds, of queries lane / 4 and lane / 4 + 8,
/// two neighbouring columns of every eight.
template <int kDim, int kHeads>
struct WarpState {
  float out[kHeads][kDim / 8][4];
  float largest[kHeads][2], total[kHeads][2];
};

template <int kDim, int kHeads>
__device__ void start_warp(WarpState<kDim, kHeads>& state) {
#pragma unroll
  for (int head = 0; head < kHeads; ++head) {
#pragma unroll
    for (int half = 0; half < 2; ++half) state.largest[head][half] = -INFINITY, state.total[head][half] = 0;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) state.out[head][n][i] = 0;
    }
  }
}

// scores [kHeads, 16, 32] = q k^T
//   queries  of the warp: [kHeads, kTileQueries, kDim], heads kTileQueries rows apart
template <int kDim, int kHeads>
__device__ void score_keys(const Bf16* queries, const Bf16* keys, float (&scores)[kHeads][kStepKeys / 8][4]) {
  const int lane = threadIdx.x % kWarp;
  const Bf16* q_row = queries + (lane % 16) * kTileStride<kDim> + (lane / 16) * 8;
  const Bf16* k_row = keys + (lane % 8) * kTileStride<kDim> + (lane / 8) * 8;
#pragma unroll
  for (int head = 0; head < kHeads; ++head) {
#pragma unroll
    for (int n = 0; n < kStepKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[head][n][i] = 0;
    }
  }
#pragma unroll
  for (int k = 0; k < kDim / 32; ++k) {
    std::uint32_t a[kHeads][2][4];
#pragma unroll
    for (int head = 0; head < kHeads; ++head) {
      load_matrices(a[head][0], q_row + head * kTileQueries * kTileStride<kDim> + k * 32);
      load_matrices(a[head][1], q_row + head * kTileQueries * kTileStride<kDim> + k * 32 + 16);
    }
#pragma unroll
    for (int n = 0; n < kStepKeys / 8; ++n) {
      std::uint32_t b[4];
      load_matrices(b, k_row + n * 8 * kTileStride<kDim> + k * 32);
#pragma unroll
      for (int head = 0; head < kHeads; ++head) {
        multiply_add(scores[head][n], a[head][0], b[0], b[1]);
        multiply_add(scores[head][n], a[head][1], b[2], b[3]);
      }
    }
  }
}

// Keys from n_keys on, and for causal attention those after the query, count nothing.
template <bool kCausal>
__device__ void mask_scores(const QueryTile& tile, int first_key, float (&scores)[kStepKeys / 8][4]) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int n = 0; n < kStepKeys / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int key = first_key + n * 8 + (lane % 4) * 2 + i % 2;
      const int position = tile.first_position + warp * 16 + lane / 4 + (i / 2) * 8;
      if (key >= tile.n_keys || (kCausal && key > position)) scores[n][i] = -INFINITY;
    }
  }
}

// Scores become weights relative to the largest score so far; what was summed before is rescaled to it.
template <int kDim, int kHeads>
__device__ void softmax_step(float scale, int head, float (&scores)[kStepKeys / 8][4], WarpState<kDim, kHeads>& state) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = -INFINITY;
#pragma unroll
    for (int n = 0; n < kStepKeys / 8; ++n) {
      largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    largest = fmaxf(largest * scale, state.largest[head][half]);
    const float base = largest == -INFINITY ? 0.0f : largest;
    const float rescale = fast_exp2(state.largest[head][half] - base);
    state.largest[head][half] = largest;
    float total = 0;
#pragma unroll
    for (int n = 0; n < kStepKeys / 8; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        scores[n][i] = fast_exp2(fmaf(scores[n][i], scale, -base));
        total += scores[n][i];
      }
    }
    state.total[head][half] = state.total[head][half] * rescale + total;
    if (__all_sync(0xffffffffu, rescale == 1.0f)) continue;  // largest scores are found early
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      state.out[head][n][2 * half] *= rescale;
      state.out[head][n][2 * half + 1] *= rescale;
    }
  }
}

// out += weights values
template <int kDim, int kHeads>
__device__ void add_values(const float (&weights)[kHeads][kStepKeys / 8][4], const Bf16* values,
                           WarpState<kDim, kHeads>& state) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int k = 0; k < kStepKeys / 16; ++k) {
    std::uint32_t a[kHeads][4];
#pragma unroll
    for (int head = 0; head < kHeads; ++head) {
      const auto& w = weights[head];
      a[head][0] = pack_bf16(w[2 * k][0], w[2 * k][1]);
      a[head][1] = pack_bf16(w[2 * k][2], w[2 * k][3]);
      a[head][2] = pack_bf16(w[2 * k + 1][0], w[2 * k + 1][1]);
      a[head][3] = pack_bf16(w[2 * k + 1][2], w[2 * k + 1][3]);
    }
    const Bf16* row = values + (k * 16 + lane % 16) * kTileStride<kDim> + (lane / 16) * 8;
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      std::uint32_t b[4];
      load_matrices_transposed(b, row + n * 16);
#pragma unroll
      for (int head = 0; head < kHeads; ++head) {
        multiply_add(state.out[head][2 * n], a[head], b[0], b[1]);
        multiply_add(state.out[head][2 * n + 1], a[head], b[2], b[3]);
      }
    }
  }
}

template <int kDim, int kHeads>
__device__ void write_warp(const QueryTile& tile, const WarpState<kDim, kHeads>& state) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int head = 0; head < kHeads; ++head) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = state.total[head][half];
      total += __shfl_xor_sync(0xffffffffu, total, 1);
      total += __shfl_xor_sync(0xffffffffu, total, 2);
      const int row = warp * 16 + lane / 4 + half * 8;
      if (row >= tile.n_queries) continue;
      const float inverse = 1.0f / total;
      Bf16* y = tile.y + row * tile.y_stride + head * kDim + (lane % 4) * 2;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        *reinterpret_cast<std::uint32_t*>(y + n * 8) =
            pack_bf16(state.out[head][n][2 * half] * inverse, state.out[head][n][2 * half + 1] * inverse);
      }
    }
  }
}

// Rows past the end become zeros.
template <int kDim, int kHeads>
__device__ void copy_queries(const QueryTile& tile, Bf16* to) {
  constexpr int kRowPieces = kHeads * kDim / 8;
  for (int piece = threadIdx.x; piece < kTileQueries * kRowPieces; piece += kTileThreads) {
    const int row = piece / kRowPieces, column = piece % kRowPieces * 8;
    const bool valid = row < tile.n_queries;
    Bf16* place = to + (column / kDim * kTileQueries + row) * kTileStride<kDim> + column % kDim;
    copy_async16(place, tile.q + (valid ? row * tile.q_stride + column : 0), valid);
  }
}

/// Copies rows of bf16, `stride` elements apart, to tiles of shared memory; rows from n_rows on become zeros, so that
/// 0 * value stays 0. Ends with the next group of copies.
template <int kDim>
__device__ void copy_tile(const Bf16* keys, const Bf16* values, std::int64_t stride, int n_rows, Bf16* to_keys,
                          Bf16* to_values) {
  for (int piece = threadIdx.x; piece < kTileKeys * kDim / 8; piece += kTileThreads) {
    const int row = piece / (kDim / 8), column = piece % (kDim / 8) * 8;
    const bool valid = row < n_rows;
    const std::int64_t at = valid ? row * stride + column : 0;
    copy_async16(to_keys + row * kTileStride<kDim> + column, keys + at, valid);
    copy_async16(to_values + row * kTileStride<kDim> + column, values + at, valid);
  }
}

/// Keys: `fetch<kDim>(first_key, n_rows, Bf16* keys, Bf16* values)` for multiples of kTileKeys.
template <int kDim, int kHeads, bool kCausal, typename Keys>
__device__ void attend_tile(const QueryTile& tile, const Keys& keys, Bf16* shared) {
  constexpr int kTileElements = kTileKeys * kTileStride<kDim>;
  Bf16* tiles = shared + kHeads * kTileQueries * kTileStride<kDim>;
  const auto fetch = [&](int first_key, int stage) {
    Bf16* to = tiles + stage * 2 * kTileElements;
    keys.template fetch<kDim>(first_key, tile.n_keys - first_key, to, to + kTileElements);
  };

  WarpState<kDim, kHeads> state;
  start_warp(state);
  const int last_key = kCausal ? min(tile.n_keys, tile.first_position + tile.n_queries) : tile.n_keys;
  const Bf16* queries = shared + threadIdx.x / kWarp * 16 * kTileStride<kDim>;
  copy_queries<kDim, kHeads>(tile, shared);
  fetch(0, 0);
  commit_copies();
  for (int first_key = 0, stage = 0; first_key < last_key; first_key += kTileKeys, stage ^= 1) {
    if (first_key + kTileKeys < last_key) fetch(first_key + kTileKeys, stage ^ 1);
    commit_copies();
    wait_copies<1>();
    __syncthreads();
#pragma unroll 1
    for (int step = 0; step < kTileKeys && first_key + step < last_key; step += kStepKeys) {
      const Bf16* step_keys = tiles + stage * 2 * kTileElements + step * kTileStride<kDim>;
      const int key = first_key + step;
      float scores[kHeads][kStepKeys / 8][4];
      score_keys<kDim, kHeads>(queries, step_keys, scores);
      const bool masked = key + kStepKeys > tile.n_keys || (kCausal && key + kStepKeys > tile.first_position);
#pragma unroll
      for (int head = 0; head < kHeads; ++head) {
        if (masked) mask_scores<kCausal>(tile, key, scores[head]);
        softmax_step(tile.scale, head, scores[head], state);
      }
      add_values(scores, step_keys + kTileElements, state);
    }
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
