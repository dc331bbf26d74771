// Integer dot products for vector types without instructions for them: the integers are f32, whose sums of 32 products
// of 8-bit numbers are exact (below 2^24). What is left to the vector type is to load bytes as floats.
#pragma once

#include "backend/cpu/isa/quant_layout.h"

namespace qasr::cpu::isa {
namespace {

template <typename Float>
struct WithFloatDots : Float {
  using F = typename Float::F;
  using I = F;
  using W = F;
  using Broadcast = F;
  using X = float;
  static constexpr int kDepthGroup = 1;
  static constexpr int kRowGroup = 1;
  static constexpr bool kOffsetWeights = false;
  static constexpr bool kWidensWeights = true;
  static constexpr bool kDotsFromMemory = false;

  static F load_w(const std::byte* from) { return Float::load(reinterpret_cast<const float*>(from)); }
  static void store_w(std::byte* to, F w) { Float::store(reinterpret_cast<float*>(to), w); }

  static F zero_sum() { return Float::zero(); }
  static F broadcast_activations(const float* x) { return Float::broadcast(x); }
  static void dot(F& sum, F w, F x) { sum = Float::fma(w, x, sum); }
  static F sum_to_float(F sum) { return sum; }

  static std::int32_t store_rounded(const F* values, F inverse, float* q) {
    F total = Float::zero();
    for (int v = 0; v < static_cast<int>(kBlock) / Float::kLanes; ++v) {
      const F rounded = Float::round(Float::mul(values[v], inverse));
      Float::store(q + v * Float::kLanes, rounded);
      total = Float::add(total, rounded);
    }
    const float sum = Float::reduce_add(total);
    return sum > -8192.0f && sum < 8192.0f ? static_cast<std::int32_t>(sum) : 0;  // NaN: the scale says so
  }
};

}  // namespace
}  // namespace qasr::cpu::isa
