#include "tensor/quant_blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace qasr {
namespace {

constexpr float kMaxQ8 = 127.0f;
constexpr float kMaxQ4 = 15.0f;
constexpr float kSmallestAffineScale = 1e-7f;
constexpr std::uint32_t kMagnitude = 0x7fffffffu, kInfinity = 0x7f800000u;

// Largest |value| as bits, which order like the values and put infinities and NaNs last.
std::uint32_t max_abs_bits(std::span<const float> values) {
  std::uint32_t largest = 0;
  for (float value : values) largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & kMagnitude);
  return largest;
}

// To nearest, ties to even, for |value| < 2^22: adding 1.5 * 2^23 leaves no fraction bits. Unlike nearbyint it is no
// call.
float round_small(float value) {
  constexpr float kMagic = 12582912.0f;
  return (value + kMagic) - kMagic;
}

float round_within(float value, float low, float high) { return std::min(high, std::max(low, round_small(value))); }

}  // namespace

f16 q8_scale(float max_abs) {
  f16 scale = to_f16(max_abs / kMaxQ8);
  // A subnormal f16 is coarse: rounded down it could clip the largest weight.
  if (max_abs > 0.0f && to_f32(scale) * (kMaxQ8 + 0.5f) <= max_abs && max_abs < to_f32(f16{0x7bff}) * kMaxQ8)
    ++scale.bits;
  return scale;
}

Q8Block quantize_q8(std::span<const float> w) {
  Q8Block block{};
  block.scale = q8_scale(std::bit_cast<float>(max_abs_bits(w)));
  const float scale = to_f32(block.scale), inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
  for (std::size_t i = 0; i < w.size(); ++i) {
    block.q[i] = static_cast<std::int8_t>(round_within(w[i] * inverse, -kMaxQ8, kMaxQ8));
  }
  return block;
}

AffineScale affine_scale(float low, float high, float max_q) {
  float scale = std::max((high - low) / max_q, kSmallestAffineScale);
  const bool keep_low = std::fabs(low) > std::fabs(high);
  if (!keep_low) scale = -scale;
  const float edge = keep_low ? low : high, at_edge = std::nearbyint(edge / scale);
  if (at_edge == 0.0f) return {scale, 0.0f};
  return {edge / at_edge, edge};
}

Q4Group quantize_q4(std::span<const float> w, std::size_t group_size) {
  float low = w.size() < group_size ? 0.0f : w[0], high = low;
  for (float value : w) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const auto [scale, bias] = affine_scale(low, high, kMaxQ4);
  Q4Group group{to_bf16(scale), to_bf16(bias), {}};
  const float inverse = 1.0f / to_f32(group.scale), stored_bias = to_f32(group.bias);
  for (std::size_t i = 0; i < group_size; ++i) {
    const float value = i < w.size() ? w[i] : 0.0f;
    group.q[i] = static_cast<std::uint8_t>(round_within((value - stored_bias) * inverse, 0.0f, kMaxQ4));
  }
  return group;
}

ActivationBlock quantize_activations(std::span<const float> x) {
  ActivationBlock block{};
  const std::uint32_t bits = max_abs_bits(x);
  const float max_abs = std::bit_cast<float>(bits);
  if (bits >= kInfinity) {
    block.scale = std::numeric_limits<float>::quiet_NaN();
  } else if (max_abs >= kSmallestActivation) {
    block.scale = max_abs / kMaxQ8;
    const float inverse = kMaxQ8 / max_abs;
    for (std::size_t i = 0; i < x.size(); ++i) block.q[i] = static_cast<std::int8_t>(round_small(x[i] * inverse));
  }
  return block;
}

}  // namespace qasr
