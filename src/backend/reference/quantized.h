// Quantised formats in the reference backend: weights and activations become the f32 values that their integers stand
// for (tensor/quant_blocks.h), and the products stay what they are.
#pragma once

#include <cstddef>
#include <vector>

#include "qasr/options.h"

namespace qasr::reference {

/// Whether products in this format round their activations to 8 bits.
constexpr bool is_quantized(WeightFormat format) {
  return format == WeightFormat::kQ8 || format == WeightFormat::kQ4 || format == WeightFormat::kQ4G32;
}

/// Rounds `n` weights of one row, `stride` elements apart, in blocks of the format.
void round_weights(float* w, std::size_t n, std::size_t stride, WeightFormat format);

/// Rounds `n` activations, `stride` elements apart, in blocks of 32.
void round_activations(float* x, std::size_t n, std::size_t stride);

}  // namespace qasr::reference
