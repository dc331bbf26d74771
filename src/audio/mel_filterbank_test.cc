// The filterbank of Qwen3-ASR against the numbers of mel_filter_bank in Hugging Face transformers.
#include "audio/mel_filterbank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/test_signals.h"

namespace qasr {
namespace {

constexpr int kBins = 201, kMels = 128;

double column_sum(const MelFilterbank& filters, int mel) {
  double sum = 0;
  for (int bin = 0; bin < filters.n_bins(); ++bin) sum += filters.weight(bin, mel);
  return sum;
}

TEST(MelFilterbank, HasTheReferenceWeights) {
  const MelFilterbank filters(16000, kMels, 400);
  ASSERT_EQ(filters.n_bins(), kBins);
  EXPECT_EQ(filters.n_weights(), 394u);
  constexpr float kRounding = 1e-9f;  // the reference is printed with 10 decimals
  EXPECT_NEAR(filters.weight(1, 0), 0.0123739863f, kRounding);
  EXPECT_NEAR(filters.weight(1, 1), 0.0303925649f, kRounding);
  EXPECT_NEAR(filters.weight(2, 2), 0.0247479727f, kRounding);
  EXPECT_NEAR(filters.weight(195, 127), 0.0050416017f, kRounding);
  EXPECT_NEAR(filters.weight(198, 127), 0.0022285604f, kRounding);
  EXPECT_NEAR(filters.weight(199, 127), 0.0011142802f, kRounding);
  EXPECT_EQ(filters.weight(200, 127), 0.0f);
}

TEST(MelFilterbank, HasTheReferenceSums) {
  const MelFilterbank filters(16000, kMels, 400);
  double sum = 0;
  float largest = 0;
  int largest_bin = -1, largest_mel = -1;
  for (int mel = 0; mel < kMels; ++mel) {
    EXPECT_GT(column_sum(filters, mel), 0) << "filter " << mel;
    sum += column_sum(filters, mel);
    for (int bin = 0; bin < kBins; ++bin) {
      if (filters.weight(bin, mel) <= largest) continue;
      largest = filters.weight(bin, mel);
      largest_bin = bin;
      largest_mel = mel;
    }
  }
  EXPECT_NEAR(sum, 3.1909855285, 1e-8);
  EXPECT_NEAR(largest, 0.0416817493, 2e-9);  // half a unit in the last place of f32
  EXPECT_EQ(largest_bin, 7);
  EXPECT_EQ(largest_mel, 11);
  EXPECT_NEAR(column_sum(filters, 40), 0.0403763648, 1e-8);
  EXPECT_NEAR(column_sum(filters, 64), 0.0248412003, 1e-8);
  EXPECT_NEAR(column_sum(filters, 100), 0.0252900179, 1e-8);
  EXPECT_NEAR(column_sum(filters, 127), 0.0249360439, 1e-8);
}

TEST(MelFilterbank, HasTheReferenceCorners) {
  const MelFilterbank filters(16000, kMels, 400);
  ASSERT_EQ(filters.corners_hz().size(), 130u);
  EXPECT_NEAR(filters.corners_hz()[1], 23.38275993, 1e-8);
  EXPECT_NEAR(filters.corners_hz()[2], 46.76551987, 1e-8);
  EXPECT_NEAR(filters.corners_hz()[45], 1055.33430715, 1e-7);
  EXPECT_NEAR(filters.corners_hz()[128], 7809.3946175, 1e-6);
  EXPECT_NEAR(hz_to_mel(8000), 45.245640471925, 1e-11);
  EXPECT_NEAR(mel_to_hz(hz_to_mel(3210.5)), 3210.5, 1e-9);
}

// Denser bins of the 512-point transform: the sum over bins grows by 40 / 31.25, as areas are normalised in Hz.
TEST(MelFilterbank, Of512PointsGathersMorePower) {
  const MelFilterbank official(16000, kMels, 400), denser(16000, kMels, 512);
  ASSERT_EQ(denser.n_bins(), 257);
  std::vector<double> ratios;
  double total = 0, official_total = 0;
  for (int mel = 0; mel < kMels; ++mel) {
    ratios.push_back(column_sum(denser, mel) / column_sum(official, mel));
    total += column_sum(denser, mel);
    official_total += column_sum(official, mel);
  }
  EXPECT_NEAR(total / official_total, 40 / 31.25, 2e-3);
  std::sort(ratios.begin(), ratios.end());
  EXPECT_NEAR(ratios.front(), 0.70, 0.005);
  EXPECT_NEAR((ratios[63] + ratios[64]) / 2, 1.281, 0.0005);
  EXPECT_NEAR(ratios.back(), 2.63, 0.005);
}

TEST(MelFilterbank, ApplyIsTheDenseProduct) {
  constexpr int kBlock = MelFilterbank::kBlockFrames;
  for (int n_mels : {1, 80, 128}) {
    const MelFilterbank filters(16000, n_mels, 400);
    const std::vector<float> power = noise_signal(kBins * kBlock);
    std::vector<float> energies(n_mels * kBlock, -1.0f);
    filters.apply(power.data(), energies.data());
    for (int mel = 0; mel < n_mels; ++mel) {
      for (int frame = 0; frame < kBlock; ++frame) {
        double expected = 0;
        for (int bin = 0; bin < kBins; ++bin) {
          expected += static_cast<double>(filters.weight(bin, mel)) * power[bin * kBlock + frame];
        }
        EXPECT_NEAR(energies[mel * kBlock + frame], expected, 1e-7) << "mel " << mel << " frame " << frame;
      }
    }
  }
}

}  // namespace
}  // namespace qasr
