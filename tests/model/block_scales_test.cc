// Why activations are rounded in blocks of 32: one MLP of qwen3-asr-0.6b-spiky, computed in plain loops with 8-bit
// weights and with activations that share a scale per block of 32, 64, 128 or per row. Outlier channels spoil the scale
// of every value they share it with.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "golden_support.h"
#include "tensor/quant_blocks.h"
#include "weights/synthetic_models.h"

namespace qasr::testing {
namespace {

constexpr int kLayer = 14, kRows = 8;
constexpr std::size_t kHidden = 1024, kInner = 3072;  // of the 0.6B model
constexpr std::uint32_t kSeed = 1;

using Matrix = std::vector<float>;  // row-major

Matrix synthetic_values(SyntheticRule rule, const std::string& name, const Shape& shape) {
  Matrix values(static_cast<std::size_t>(shape.elements()));
  SyntheticTensor(rule, name, shape, kSeed).fill(0, std::span(values));
  return values;
}

Matrix layer_matrix(const std::string& name, const Shape& shape) {
  return synthetic_values(synthetic_model("qwen3-asr-0.6b-spiky").rule,
                          "thinker.model.layers." + std::to_string(kLayer) + "." + name, shape);
}

// The residual stream as the spiky rule makes it: channels c with c % 160 = 37 are 200 times larger.
Matrix residual_rows() {
  Matrix x = synthetic_values(SyntheticRule::kHash, "qasr.test.residual", {kRows, kHidden});
  for (std::size_t i = 37; i < x.size(); ++i) x[i] *= (i % kHidden) % 160 == 37 ? 200.0F : 1.0F;
  return x;
}

Matrix rms_norm(const Matrix& x, const Matrix& weight) {
  Matrix y(x.size());
  for (std::size_t begin = 0; begin < x.size(); begin += kHidden) {
    double squares = 0;
    for (std::size_t i = 0; i < kHidden; ++i) squares += static_cast<double>(x[begin + i]) * x[begin + i];
    const double scale = 1 / std::sqrt(squares / kHidden + 1e-6);
    for (std::size_t i = 0; i < kHidden; ++i) {
      y[begin + i] = static_cast<float>(static_cast<double>(x[begin + i]) * scale) * weight[i];
    }
  }
  return y;
}

// Each run of `block` values rounded to 127 steps of its largest one.
Matrix rounded_activations(const Matrix& x, std::size_t block) {
  Matrix y(x.size());
  for (std::size_t begin = 0; begin < x.size(); begin += block) {
    float largest = 0;
    for (std::size_t i = begin; i < begin + block; ++i) largest = std::max(largest, std::fabs(x[i]));
    for (std::size_t i = begin; i < begin + block; ++i) y[i] = std::nearbyint(x[i] / largest * 127) * largest / 127;
  }
  return y;
}

Matrix q8_weights(const Matrix& w) {
  Matrix y(w.size());
  for (std::size_t begin = 0; begin < w.size(); begin += kQuantBlock) {
    const Q8Block block = quantize_q8(std::span(w).subspan(begin, kQuantBlock));
    for (std::size_t i = 0; i < kQuantBlock; ++i) y[begin + i] = to_f32(block.scale) * static_cast<float>(block.q[i]);
  }
  return y;
}

Matrix product(const Matrix& x, const Matrix& w, std::size_t in) {
  const std::size_t rows = x.size() / in, out = w.size() / in;
  Matrix y(rows * out);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < out; ++column) {
      double sum = 0;
      for (std::size_t i = 0; i < in; ++i) sum += static_cast<double>(x[row * in + i]) * w[column * in + i];
      y[row * out + column] = static_cast<float>(sum);
    }
  }
  return y;
}

struct Mlp {
  Matrix gate, up, down;
  // block: values that share a scale; 0: activations stay exact. Per row: kHidden and kInner values.
  Matrix run(const Matrix& x, std::size_t hidden_block, std::size_t inner_block) const {
    const Matrix input = hidden_block == 0 ? x : rounded_activations(x, hidden_block);
    Matrix inner = product(input, gate, kHidden);
    const Matrix linear = product(input, up, kHidden);
    for (std::size_t i = 0; i < inner.size(); ++i) inner[i] = inner[i] / (1 + std::exp(-inner[i])) * linear[i];
    return product(inner_block == 0 ? inner : rounded_activations(inner, inner_block), down, kInner);
  }
};

TEST(BlockScales, OutlierChannelsNeedSmallBlocks) {
  const Mlp exact{.gate = layer_matrix("mlp.gate_proj.weight", {kInner, kHidden}),
                  .up = layer_matrix("mlp.up_proj.weight", {kInner, kHidden}),
                  .down = layer_matrix("mlp.down_proj.weight", {kHidden, kInner})};
  const Mlp q8{.gate = q8_weights(exact.gate), .up = q8_weights(exact.up), .down = q8_weights(exact.down)};
  const Matrix x = rms_norm(residual_rows(), layer_matrix("post_attention_layernorm.weight", {kHidden}));
  const Matrix expected = exact.run(x, 0, 0);
  const double weights_alone = relative_error(q8.run(x, 0, 0), expected);
  std::map<std::size_t, double> errors;
  for (std::size_t block : {32, 64, 128}) errors[block] = relative_error(q8.run(x, block, block), expected);
  const double per_row = relative_error(q8.run(x, kHidden, kInner), expected);
  std::printf("relative error of one MLP with outlier channels, 8-bit weights in blocks of 32:\n");
  std::printf("  exact activations %.2e, scale per 32 %.2e, per 64 %.2e, per 128 %.2e, per row %.2e\n", weights_alone,
              errors[32], errors[64], errors[128], per_row);
  EXPECT_LT(errors[32], errors[64]);
  EXPECT_LT(errors[64], errors[128]);
  EXPECT_LT(errors[128], per_row);
  EXPECT_GT(per_row, 3 * errors[32]);
}

}  // namespace
}  // namespace qasr::testing
