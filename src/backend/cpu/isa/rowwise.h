// Everything that works on one row at a time: what follows a product, norms, rotation, softmax. A row's sums run in an
// order that depends on its length only.
#pragma once

#include "backend/cpu/isa/kernel_table.h"
#include "backend/cpu/isa/vec_math.h"

namespace qasr::cpu::isa {
namespace {

// Calls body(index, count) for each whole vector of [0, n) and once for the rest, with fewer lanes.
template <typename V, typename Body>
inline void for_vectors(std::size_t n, Body body) {
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) body(i, static_cast<std::size_t>(V::kLanes));
  if (i < n) body(i, n - i);
}

template <typename V>
inline typename V::F load_some(const float* from, std::size_t count) {
  return count == V::kLanes ? V::load(from) : V::load_n(from, count);
}

template <typename V>
inline void store_some(float* to, typename V::F value, std::size_t count) {
  if (count == V::kLanes) {
    V::store(to, value);
  } else {
    V::store_n(to, value, count);
  }
}

template <typename V>
void finish_linear(const float* c, std::size_t ldc, std::size_t rows, std::size_t cols, const Finish& finish, float* y,
                   std::size_t ldy) noexcept {
  using F = typename V::F;
  for (std::size_t row = 0; row < rows; ++row, c += ldc, y += ldy) {
    for_vectors<V>(cols, [&](std::size_t i, std::size_t count) {
      F value = V::load(c + i);  // the tile of sums has whole panels
      if (finish.bias != nullptr) value = V::add(value, V::load(finish.bias + i));
      if (finish.gelu) value = gelu<V>(value);
      if (finish.accumulate) value = V::add(value, load_some<V>(y + i, count));
      store_some<V>(y + i, value, count);
    });
  }
}

template <typename V>
void finish_gate_up(const float* c, std::size_t ldc, std::size_t rows, std::size_t cols, float* y,
                    std::size_t ldy) noexcept {
  constexpr std::size_t kWidth = static_cast<std::size_t>(V::kPanelVectors) * V::kLanes;
  for (std::size_t row = 0; row < rows; ++row, c += ldc, y += ldy) {
    for_vectors<V>(cols, [&](std::size_t i, std::size_t count) {
      const float* gate = c + i / kWidth * 2 * kWidth + i % kWidth;
      store_some<V>(y + i, V::mul(silu<V>(V::load(gate)), V::load(gate + kWidth)), count);
    });
  }
}

template <typename V>
void layer_norm(const float* x, const float* weight, const float* bias, float eps, std::size_t n, float* y) noexcept {
  using F = typename V::F;
  F sum = V::zero();
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) { sum = V::add(sum, load_some<V>(x + i, count)); });
  const float mean = V::reduce_add(sum) / static_cast<float>(n);
  F squares = V::zero();
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) {
    const F off = V::sub(load_some<V>(x + i, count), V::set(mean));
    F square = V::mul(off, off);
    if (count < V::kLanes) square = V::first(square, count);
    squares = V::add(squares, square);
  });
  const float variance = V::reduce_add(squares) / static_cast<float>(n);
  const F factor = V::set(1.0f / __builtin_sqrtf(variance + eps));
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) {
    const F normed = V::mul(V::sub(load_some<V>(x + i, count), V::set(mean)), factor);
    store_some<V>(y + i, V::fma(normed, load_some<V>(weight + i, count), load_some<V>(bias + i, count)), count);
  });
}

template <typename V>
inline float rms_factor(const float* x, float eps, std::size_t n) {
  using F = typename V::F;
  F squares = V::zero();
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) {
    const F value = load_some<V>(x + i, count);
    squares = V::fma(value, value, squares);
  });
  return 1.0f / __builtin_sqrtf(V::reduce_add(squares) / static_cast<float>(n) + eps);
}

template <typename V>
void rms_norm(const float* x, const float* weight, float eps, std::size_t n, float* y) noexcept {
  const typename V::F factor = V::set(rms_factor<V>(x, eps, n));
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) {
    const auto normed = V::mul(load_some<V>(x + i, count), factor);
    store_some<V>(y + i, V::mul(normed, load_some<V>(weight + i, count)), count);
  });
}

template <typename V>
void rms_norm_rope(const float* x, const float* weight, float eps, const float* cosine, const float* sine,
                   std::size_t n, float* y) noexcept {
  using F = typename V::F;
  const F factor = V::set(rms_factor<V>(x, eps, n));
  const std::size_t half = n / 2;
  for_vectors<V>(half, [&](std::size_t i, std::size_t count) {
    const F low = V::mul(V::mul(load_some<V>(x + i, count), factor), load_some<V>(weight + i, count));
    const F high = V::mul(V::mul(load_some<V>(x + half + i, count), factor), load_some<V>(weight + half + i, count));
    const F cos_i = load_some<V>(cosine + i, count), sin_i = load_some<V>(sine + i, count);
    store_some<V>(y + i, V::sub(V::mul(low, cos_i), V::mul(high, sin_i)), count);
    store_some<V>(y + half + i, V::add(V::mul(high, cos_i), V::mul(low, sin_i)), count);
  });
}

template <typename V>
void scale(const float* x, float factor, std::size_t n, float* y) noexcept {
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) {
    store_some<V>(y + i, V::mul(load_some<V>(x + i, count), V::set(factor)), count);
  });
}

template <typename V>
void add(const float* a, const float* b, std::size_t n, float* y) noexcept {
  for_vectors<V>(n, [&](std::size_t i, std::size_t count) {
    store_some<V>(y + i, V::add(load_some<V>(a + i, count), load_some<V>(b + i, count)), count);
  });
}

template <typename V>
float max_element(const float* x, std::size_t n) noexcept {
  using F = typename V::F;
  F best = V::set(-__builtin_inff());
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const F value = V::load(x + i);
    best = V::select_less(best, value, value, best);  // false for a NaN
  }
  float result = V::reduce_max(best);
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// A NaN score makes the row NaN through its weight; it does not take part in the maximum.
template <typename V>
void softmax_step(float* scores, std::size_t n_valid, std::size_t n_padded, float scale_factor, SoftmaxRow& state,
                  float* out, std::size_t n_out) noexcept {
  using F = typename V::F;
  for (std::size_t i = n_valid; i < n_padded; ++i) scores[i] = 0.0f;
  if (n_valid == 0) return;
  const float tile_max = max_element<V>(scores, n_valid) * scale_factor;
  const float max = tile_max > state.max ? tile_max : state.max;
  F sum = V::zero();
  for_vectors<V>(n_valid, [&](std::size_t i, std::size_t count) {
    // Reads zeros past n_valid: n_padded covers them.
    F weight = exp<V>(V::sub(V::mul(V::load(scores + i), V::set(scale_factor)), V::set(max)));
    if (count < V::kLanes) weight = V::first(weight, count);
    V::store(scores + i, weight);
    sum = V::add(sum, weight);
  });
  if (max > state.max) {
    alignas(64) float shrink[V::kLanes];
    V::store(shrink, exp<V>(V::set(state.max - max)));  // 0 for the first tile, where state.max is -inf
    state.sum *= shrink[0];
    state.max = max;
    scale<V>(out, shrink[0], n_out, out);
  }
  state.sum += V::reduce_add(sum);
}

}  // namespace
}  // namespace qasr::cpu::isa
