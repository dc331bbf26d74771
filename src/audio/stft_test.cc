#include "audio/stft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "support/test_signals.h"

namespace qasr {
namespace {

// The definition, in f64.
std::vector<double> direct_power(std::span<const float> samples, int frame, int fft_samples) {
  std::vector<double> power;
  for (int bin = 0; bin <= fft_samples / 2; ++bin) {
    double re = 0, im = 0;
    for (int i = 0; i < 400; ++i) {
      const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / 400);
      const double x = window * samples[reflect_index(frame * 160 - 200 + i, samples.size())];
      const double angle = 2 * std::numbers::pi * bin * i / fft_samples;
      re += x * std::cos(angle);
      im -= x * std::sin(angle);
    }
    power.push_back(re * re + im * im);
  }
  return power;
}

TEST(PeriodicHann, HasTheReferenceValuesAndSums) {
  const std::vector<float> window = periodic_hann(400);
  EXPECT_EQ(window[0], 0.0f);
  EXPECT_EQ(window[200], 1.0f);
  EXPECT_EQ(window[100], 0.5f);
  EXPECT_NEAR(std::accumulate(window.begin(), window.end(), 0.0), 200.0, 1e-5);
  EXPECT_NEAR(std::inner_product(window.begin(), window.end(), window.begin(), 0.0), 150.0, 1e-5);
}

TEST(ReflectIndex, DoesNotRepeatTheEdge) {
  EXPECT_EQ(reflect_index(-1, 10), 1u);
  EXPECT_EQ(reflect_index(-9, 10), 9u);
  EXPECT_EQ(reflect_index(0, 10), 0u);
  EXPECT_EQ(reflect_index(9, 10), 9u);
  EXPECT_EQ(reflect_index(10, 10), 8u);
  EXPECT_EQ(reflect_index(18, 10), 0u);
}

TEST(ReflectIndex, FoldsShortSignalsAgainAndAgain) {
  // 0 1 2 extended: ... 2 1 0 1 2 1 0 1 2 ...
  const std::size_t expected[] = {0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0};
  for (int i = 0; i < 13; ++i) EXPECT_EQ(reflect_index(i - 4, 3), expected[i]) << i;
  EXPECT_EQ(reflect_index(-200, 1), 0u);
  EXPECT_EQ(reflect_index(7, 1), 0u);
}

TEST(Stft, IsTheTransformOfTheDefinition) {
  const std::vector<float> samples = tones_signal(1000);
  for (int fft_samples : {400, 512, 600}) {
    const Stft stft(400, 160, fft_samples);
    Stft::Scratch scratch(stft);
    std::vector<float> power(stft.n_bins());
    for (int frame : {0, 1, 3, 6}) {  // reflected at the start, twice inside, reflected at the end
      stft.power(samples, frame, scratch, power.data(), 1);
      const std::vector<double> expected = direct_power(samples, frame, fft_samples);
      for (int bin = 0; bin < stft.n_bins(); ++bin) {
        EXPECT_NEAR(power[bin], expected[bin], 1e-5 * expected[bin] + 2e-5)
            << fft_samples << " " << frame << " " << bin;
      }
    }
  }
}

TEST(Stft, WritesWithAStride) {
  const std::vector<float> samples = tones_signal(1000);
  const Stft stft(400, 160, 400);
  Stft::Scratch scratch(stft);
  std::vector<float> dense(stft.n_bins()), strided(stft.n_bins() * 3, -1.0f);
  stft.power(samples, 2, scratch, dense.data(), 1);
  stft.power(samples, 2, scratch, strided.data(), 3);
  for (int bin = 0; bin < stft.n_bins(); ++bin) {
    EXPECT_EQ(strided[bin * 3], dense[bin]);
    EXPECT_EQ(strided[bin * 3 + 1], -1.0f);
  }
}

}  // namespace
}  // namespace qasr
