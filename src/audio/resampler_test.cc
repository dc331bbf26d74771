// Pass band, stop band, delay and length of the resampler, measured with tones.
#include "audio/resampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "support/test_signals.h"

namespace qasr {
namespace {

constexpr double kAmplitude = 0.5;

std::vector<float> resample(const std::vector<float>& samples, int rate, std::size_t chunk = 1000) {
  Resampler resampler(rate);
  std::vector<float> out;
  for (std::size_t begin = 0; begin < samples.size(); begin += chunk) {
    resampler.push(std::span(samples).subspan(begin, std::min(chunk, samples.size() - begin)), out);
  }
  resampler.finish(out);
  return out;
}

// One second of a tone; the middle half is looked at, away from the ends.
std::vector<float> resampled_tone(double frequency_hz, int rate) {
  return resample(sine_signal(rate, frequency_hz, rate, kAmplitude), rate);
}

double largest_in_the_middle(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t n = a.size() / 4; n < 3 * a.size() / 4; ++n) {
    largest = std::max(largest, std::abs(static_cast<double>(a[n]) - b[n]));
  }
  return largest;
}

class ResamplerRates : public testing::TestWithParam<int> {};

// Sample for sample the tone sampled at 16 kHz: neither gain nor delay, up to 91 % of the lower half rate.
TEST_P(ResamplerRates, PassBandIsFlatAndWithoutDelay) {
  const int rate = GetParam();
  const double edge_hz = 0.91 * std::min(rate, 16000) / 2;
  for (double frequency_hz : {50.0, 1000.0, 3400.0, 5000.0, 7000.0, edge_hz}) {
    if (frequency_hz > edge_hz) continue;
    const std::vector<float> expected = sine_signal(16000, frequency_hz, 16000, kAmplitude);
    const std::vector<float> found = resampled_tone(frequency_hz, rate);
    ASSERT_EQ(found.size(), expected.size());
    EXPECT_LE(largest_in_the_middle(found, expected), 2e-6) << frequency_hz << " Hz";  // -108 dB of the tone
  }
}

TEST_P(ResamplerRates, NothingAboveEightKilohertzFoldsBack) {
  const int rate = GetParam();
  for (double frequency_hz : {8000.0, 8100.0, 8700.0, 9500.0, 12000.0, 15900.0, 20000.0}) {
    if (frequency_hz >= rate / 2.0) continue;
    const std::vector<float> found = resampled_tone(frequency_hz, rate);
    const std::vector<float> silence(found.size(), 0.0f);
    EXPECT_LE(largest_in_the_middle(found, silence), kAmplitude * 1e-6) << frequency_hz << " Hz";  // -120 dB
  }
}

TEST_P(ResamplerRates, LengthIsExact) {
  const int rate = GetParam();
  for (std::size_t n_samples : {1, 2, 7, 100, 1000, 12345}) {
    const std::size_t expected = (n_samples * 16000 + rate - 1) / rate;
    EXPECT_EQ(resample(noise_signal(n_samples), rate).size(), expected) << n_samples << " samples";
  }
}

TEST_P(ResamplerRates, ChunksDoNotMatter) {
  const int rate = GetParam();
  const std::vector<float> samples = noise_signal(20000);
  const std::vector<float> whole = resample(samples, rate, samples.size());
  EXPECT_EQ(resample(samples, rate, 333), whole);
}

INSTANTIATE_TEST_SUITE_P(Rates, ResamplerRates,
                         testing::Values(8000, 11025, 12000, 22050, 24000, 32000, 44100, 44099, 48000, 96000, 192000));

TEST(Resampler, SixteenKilohertzPassUnchanged) {
  const std::vector<float> samples = noise_signal(5000);
  EXPECT_EQ(resample(samples, 16000), samples);
}

// A constant stays one to its last sample: the ends are extended by reflection, not by silence.
TEST(Resampler, EndsDoNotFade) {
  const std::vector<float> found = resample(std::vector<float>(4800, 0.25f), 48000);
  ASSERT_EQ(found.size(), 1600u);
  for (float x : found) ASSERT_NEAR(x, 0.25f, 1e-4f);
}

}  // namespace
}  // namespace qasr
