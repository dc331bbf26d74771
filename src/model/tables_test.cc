// Token counts, sinusoidal positions and RoPE tables: formulas against tabulated values.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "model/audio_encoder.h"
#include "model/text_decoder.h"

namespace qasr {
namespace {

TEST(AudioTokenCount, EveryTabulatedLength) {
  const std::vector<std::pair<int, int>> table = {
      {0, 0},     {1, 1},     {7, 1},     {8, 1},     {9, 2},     {16, 2},     {17, 3},      {24, 3},        {25, 4},
      {50, 7},    {57, 8},    {96, 12},   {97, 13},   {99, 13},   {100, 13},   {101, 14},    {108, 14},      {109, 15},
      {150, 20},  {199, 26},  {250, 33},  {300, 39},  {799, 104}, {800, 104},  {801, 105},   {1000, 130},    {1100, 143},
      {3000, 390}, {18000, 2340}, {120000, 15600}};
  const AudioEncoderConfig config = {.n_window = 50, .n_window_infer = 800};
  for (const auto& [n_frames, n_tokens] : table) {
    EXPECT_EQ(AudioEncoder::n_audio_tokens(config, n_frames), n_tokens) << n_frames;
  }
  for (int rest = 1; rest < 100; ++rest) {
    EXPECT_EQ(AudioEncoder::n_audio_tokens(config, 300 + rest), 39 + (rest + 7) / 8) << rest;
  }
}

TEST(SinusoidalPositions, TabulatedValues) {
  struct Row {
    int dim, pos, index;
    double sine, cosine;
  };
  const Row rows[] = {{896, 1, 0, 0.84147098, 0.54030231},     {896, 1, 1, 0.83027786, 0.55734969},
                      {896, 5, 100, 0.59475816, 0.80390468},   {896, 12, 1, -0.72504390, 0.68870265},
                      {1024, 1, 0, 0.84147098, 0.54030231},    {1024, 1, 1, 0.83168600, 0.55524624},
                      {1024, 5, 100, 0.73420903, 0.67892348},  {1024, 12, 1, -0.70379312, 0.71040499}};
  for (const Row& row : rows) {
    const std::vector<float> table = sinusoidal_positions(13, row.dim);
    const float* values = table.data() + static_cast<std::ptrdiff_t>(row.pos) * row.dim;
    EXPECT_NEAR(values[row.index], row.sine, 1e-7) << row.dim << " " << row.pos << " " << row.index;
    EXPECT_NEAR(values[row.dim / 2 + row.index], row.cosine, 1e-7) << row.dim << " " << row.pos << " " << row.index;
  }
  EXPECT_NEAR(std::asin(sinusoidal_positions(2, 896)[896 + 447]), 1.0e-4, 1e-9);  // the last inverse time scale
}

TEST(RopeTables, TabulatedFrequencies) {
  std::vector<float> cosines, sines;
  rope_tables(3, 128, 1e6, cosines, sines);
  ASSERT_EQ(cosines.size(), 3U * 64U);
  const std::pair<int, double> frequencies[] = {
      {0, 1.0}, {1, 0.80584219}, {2, 0.64938163}, {32, 1e-3}, {63, 1.24093776e-6}};
  for (const auto& [index, frequency] : frequencies) {
    for (int pos = 0; pos < 3; ++pos) {
      const std::size_t at = static_cast<std::size_t>(pos * 64 + index);
      EXPECT_NEAR(cosines[at], std::cos(pos * frequency), 1e-7);
      EXPECT_NEAR(sines[at], std::sin(pos * frequency), 1e-7);
    }
  }
}

}  // namespace
}  // namespace qasr
