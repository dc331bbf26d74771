// Block formats of quantised matrices and activations, as scalar definitions: the backends' packers and kernels must
// give exactly these integers and scales.
//
//   q8   32 weights of a row:  w = scale * q, scale f16, q in [-127, 127]           (8.5 bits per weight; Q8_0 of ggml)
//   q4   32 or 64 of a row:    w = scale * q + bias, both bf16, q in [0, 15]        (4.5 bits at 64; the affine groups
//   of MLX) x    32 activations:       x = scale * q, scale f32, q in [-127, 127]
//
// A product of a quantised row with a quantised activation row is, per block, an exact integer dot product, which is
// scaled and added in f32 in ascending order of blocks. Rounding is to nearest, ties to even.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace qasr {

inline constexpr std::size_t kQuantBlock = 32;
inline constexpr std::size_t kMaxQ4Group = 64;

/// Activations below this magnitude are zero: their reciprocal would overflow.
inline constexpr float kSmallestActivation = 1e-30f;

struct Q8Block {
  f16 scale;
  std::int8_t q[kQuantBlock];
};

struct Q4Group {
  bf16 scale, bias;
  std::uint8_t q[kMaxQ4Group];  ///< one value per byte; the first group_size are used
};

struct ActivationBlock {
  float scale;  ///< NaN if any value is not finite, so that nothing bad passes as a number
  std::int8_t q[kQuantBlock];
};

/// scale = max |w| / 127 as f16, never so small that a value would be clipped by half a step or more.
f16 q8_scale(float max_abs);

/// Up to 32 weights; missing ones are zero.
Q8Block quantize_q8(std::span<const float> w);

struct AffineScale {
  float scale = 0, bias = 0;
};

/// Scale and bias of w = scale * q + bias, q in [0, max_q], for values from low to high: the end of the range with the
/// larger magnitude is exact. Source: affine quantisation of ml-explore/mlx.
AffineScale affine_scale(float low, float high, float max_q);

/// group_size (32 or 64) weights; missing ones are zero. affine_scale, with q chosen for the rounded scale and bias.
Q4Group quantize_q4(std::span<const float> w, std::size_t group_size);

/// Up to 32 activations; missing ones are zero.
ActivationBlock quantize_activations(std::span<const float> x);

}  // namespace qasr
