// Largest accepted differences between a backend and the reference backend, each with its reason. Unless said otherwise
// they are absolute, for inputs in [-1, 1] and results of magnitude about 1.
#pragma once

namespace qasr::tolerance {

// A chain of k f32 multiply-adds against a sum in f64 rounded once: a random walk of about sqrt(k) roundings of 6e-8,
// 4e-6 at k = 4,320, the longest chain of the model; times five for the worst of many outputs.
inline constexpr float kProduct = 2e-5f;

// The same for quantised rows, whose integers are exact: only scales and sums of blocks round. Inputs of the tests
// reach 50, results 40.
inline constexpr float kQuantizedProduct = 1e-4f;

// The stem with 8-bit activations: where two backends' activations lie on both sides of a rounding boundary, they
// differ by one step of 1/127 of their block's largest, times a weight.
inline constexpr float kQuantizedStem = 2e-2f;

// silu(gate) * up: the product's error of one factor times the other, which reaches 8 in the tests.
inline constexpr float kGateUp = 8e-5f;

// gelu(v) alone for |v| <= 8: erf is within 4e-7, times v / 2 where 1 + erf is not yet rounding (|v| < 5.5).
inline constexpr float kGelu = 1.2e-6f;

// Three convolutions in a row, each with kProduct's error, with gains above one in between.
inline constexpr float kConvStem = 1e-4f;

// Mean and variance of a row in f32, results up to about 4 in magnitude.
inline constexpr float kNorm = 1e-5f;

// Softmax weights and sums over a few hundred keys.
inline constexpr float kAttention = 1e-5f;

// Product, norm and rotation in a row: the norm divides by the root mean square of a head, which may be small.
inline constexpr float kQkv = 5e-5f;

// Two backends that differ by kQkv may round a key or value to neighbouring bf16 numbers, 2^-8 apart relatively.
inline constexpr float kAttentionBf16Cache = 2e-2f;

// Log-probabilities down to about -40, in f32: sums of thousands of exponentials against f64.
inline constexpr float kLogProb = 1e-5f;

}  // namespace qasr::tolerance
