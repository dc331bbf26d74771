#include "tensor/quant_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace qasr {
namespace {

std::vector<float> ramp(std::size_t n, float first, float step) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = first + step * static_cast<float>(i);
  return values;
}

TEST(QuantBlocks, Q8IsWithinHalfAStep) {
  for (float size : {1e-5f, 0.03f, 1.0f, 900.0f}) {
    const std::vector<float> w = ramp(32, -size, size / 17);
    const Q8Block block = quantize_q8(w);
    const float scale = to_f32(block.scale);
    for (std::size_t i = 0; i < w.size(); ++i) {
      EXPECT_LE(std::fabs(w[i] - scale * static_cast<float>(block.q[i])), 0.5001f * scale + 1e-12f) << size << " " << i;
    }
  }
}

TEST(QuantBlocks, Q8OfAFewValuesFillsUpWithZeros) {
  const Q8Block block = quantize_q8(std::vector<float>{0.5f, -1.0f});
  EXPECT_EQ(block.q[0], 64);  // 63.5 rounds to even
  EXPECT_EQ(block.q[1], -127);
  for (std::size_t i = 2; i < kQuantBlock; ++i) EXPECT_EQ(block.q[i], 0);
}

TEST(QuantBlocks, Q8OfZerosIsZero) {
  const Q8Block block = quantize_q8(std::vector<float>(32, 0.0f));
  EXPECT_EQ(to_f32(block.scale), 0.0f);
  EXPECT_EQ(block.q[7], 0);
}

TEST(QuantBlocks, Q8NanShowsInTheScale) {
  std::vector<float> w(32, 0.25f);
  w[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(to_f32(quantize_q8(w).scale)));
}

// The values that ml-explore/mlx gives for this group (spec of the MLX layout): scale -0.43, bias 4.3.
TEST(QuantBlocks, Q4IsTheAffineGroupOfMlx) {
  const Q4Group group = quantize_q4(ramp(64, -2.0f, 0.1f), 64);
  EXPECT_NEAR(to_f32(group.scale), -0.43f, 0.001f);  // rounded to bf16
  EXPECT_NEAR(to_f32(group.bias), 4.3f, 0.016f);
  const int expected[16] = {15, 14, 14, 14, 14, 13, 13, 13, 13, 13, 12, 12, 12, 12, 11, 11};
  int differing = 0;  // the rounded scale and bias may move a value across a boundary
  for (std::size_t i = 0; i < 16; ++i) differing += group.q[i] != expected[i] ? 1 : 0;
  EXPECT_LE(differing, 2);
}

TEST(QuantBlocks, Q4IsWithinHalfAStepOfTheRange) {
  for (std::size_t size : {32u, 64u}) {
    for (float first : {-3.0f, -0.5f, 0.01f, 2.0f}) {
      const std::vector<float> w = ramp(size, first, 0.031f);
      const Q4Group group = quantize_q4(w, size);
      const float scale = to_f32(group.scale), bias = to_f32(group.bias);
      // Half a step, and what rounding scale and bias to bf16 moves the far end of the range.
      const float limit = 0.5f * std::fabs(scale) + 0.008f * std::max(std::fabs(w.front()), std::fabs(w.back()));
      for (std::size_t i = 0; i < size; ++i) {
        EXPECT_LE(std::fabs(w[i] - (scale * static_cast<float>(group.q[i]) + bias)), limit) << size << " " << first;
      }
    }
  }
}

TEST(QuantBlocks, Q4OfConstantsIsExact) {
  for (float value : {0.0f, 1.0f, -0.75f}) {
    const Q4Group group = quantize_q4(std::vector<float>(64, value), 64);
    EXPECT_EQ(to_f32(group.scale) * static_cast<float>(group.q[9]) + to_f32(group.bias), value);
  }
}

TEST(QuantBlocks, ActivationsAreWithinHalfAStep) {
  for (float size : {1e-20f, 1.0f, 20000.0f}) {
    const std::vector<float> x = ramp(32, -size, size / 13);
    const ActivationBlock block = quantize_activations(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_LE(std::fabs(x[i] - block.scale * static_cast<float>(block.q[i])), 0.5001f * block.scale);
    }
  }
}

TEST(QuantBlocks, BadActivationsShowInTheScale) {
  for (float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x(32, 1.0f);
    x[31] = bad;
    EXPECT_TRUE(std::isnan(quantize_activations(x).scale));
  }
  EXPECT_EQ(quantize_activations(std::vector<float>(32, 1e-37f)).scale, 0.0f);
}

}  // namespace
}  // namespace qasr
