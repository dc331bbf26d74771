#include "backend/reference/quantized.h"

#include <algorithm>

#include "tensor/quant_blocks.h"

namespace qasr::reference {
namespace {

// Calls round(block) for every `size` elements; round replaces the values.
template <typename Round>
void for_blocks(float* values, std::size_t n, std::size_t stride, std::size_t size, const Round& round) {
  std::vector<float> block;
  for (std::size_t begin = 0; begin < n; begin += size) {
    const std::size_t count = std::min(size, n - begin);
    block.resize(count);
    for (std::size_t i = 0; i < count; ++i) block[i] = values[(begin + i) * stride];
    round(block);
    for (std::size_t i = 0; i < count; ++i) values[(begin + i) * stride] = block[i];
  }
}

}  // namespace

void round_weights(float* w, std::size_t n, std::size_t stride, WeightFormat format) {
  if (format == WeightFormat::kQ8) {
    for_blocks(w, n, stride, kQuantBlock, [](std::vector<float>& block) {
      const Q8Block q = quantize_q8(block);
      for (std::size_t i = 0; i < block.size(); ++i) block[i] = to_f32(q.scale) * static_cast<float>(q.q[i]);
    });
    return;
  }
  const std::size_t group_size = format == WeightFormat::kQ4 ? 64 : 32;
  for_blocks(w, n, stride, group_size, [group_size](std::vector<float>& block) {
    const Q4Group q = quantize_q4(block, group_size);
    for (std::size_t i = 0; i < block.size(); ++i) {
      block[i] = to_f32(q.scale) * static_cast<float>(q.q[i]) + to_f32(q.bias);
    }
  });
}

void round_activations(float* x, std::size_t n, std::size_t stride) {
  for_blocks(x, n, stride, kQuantBlock, [](std::vector<float>& block) {
    const ActivationBlock q = quantize_activations(block);
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = q.scale * static_cast<float>(q.q[i]);
  });
}

}  // namespace qasr::reference
