#include "audio/energy_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "qasr/error.h"
#include "support/test_signals.h"

namespace qasr {
namespace {

constexpr std::size_t kTenSeconds = 160000;

std::vector<std::size_t> lengths(const std::vector<AudioPiece>& pieces) {
  std::vector<std::size_t> result;
  for (const AudioPiece& piece : pieces) result.push_back(piece.length);
  return result;
}

// 25 s of noise with a quiet stretch at 9.0 s and a silent one at 21.0 s.
std::vector<float> noise_with_pauses() {
  std::vector<float> samples = noise_signal(400000, 1.0);
  for (std::size_t n = 144000; n < 147200; ++n) samples[n] *= 0.01f;
  std::fill(samples.begin() + 336000, samples.begin() + 337600, 0.0f);
  return samples;
}

TEST(EnergySplit, CutsWhereTheOfficialPackageDoes) {
  const std::vector<AudioPiece> pieces = energy_split(noise_with_pauses(), kTenSeconds);
  EXPECT_EQ(lengths(pieces), (std::vector<std::size_t>{145724, 190276, 64000}));
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].offset, 0u);
  EXPECT_EQ(pieces[1].offset / 16000.0, 9.10775);
  EXPECT_EQ(pieces[2].offset / 16000.0, 21.0);
}

TEST(EnergySplit, CutsJustAboveTheLimit) {
  std::vector<float> samples = noise_with_pauses();
  samples.resize(160100);
  EXPECT_EQ(lengths(energy_split(samples, kTenSeconds)), (std::vector<std::size_t>{145724, 14376}));
}

TEST(EnergySplit, TakesTheFirstOfEqualWindows) {
  EXPECT_EQ(lengths(energy_split(std::vector<float>(192000, 0.0f), kTenSeconds)),
            (std::vector<std::size_t>{80000, 112000}));
}

TEST(EnergySplit, LeavesWhatFitsInOnePiece) {
  EXPECT_EQ(lengths(energy_split(noise_signal(160000), kTenSeconds)), (std::vector<std::size_t>{160000}));
  EXPECT_EQ(lengths(energy_split(noise_signal(1), kTenSeconds)), (std::vector<std::size_t>{1}));
  EXPECT_EQ(lengths(energy_split({}, kTenSeconds)), (std::vector<std::size_t>{0}));
}

TEST(EnergySplit, IgnoresTheSign) {
  std::vector<float> samples = noise_with_pauses();
  for (float& x : samples) x = -x;
  EXPECT_EQ(lengths(energy_split(samples, kTenSeconds)), (std::vector<std::size_t>{145724, 190276, 64000}));
}

// No gap, no overlap, no empty piece, no piece more than 5 s above the limit.
TEST(EnergySplit, CoversEverySampleOnce) {
  for (std::size_t n_samples : {2, 799, 1601, 20000, 95000, 333333}) {
    const std::vector<float> samples = noise_signal(n_samples);
    for (std::size_t limit : {1, 100, 799, 1600, 8000, 79999, 160001}) {
      if (n_samples / limit > 2000) continue;
      SCOPED_TRACE(std::to_string(n_samples) + " samples, limit " + std::to_string(limit));
      const std::vector<AudioPiece> pieces = energy_split(samples, limit);
      std::size_t next = 0;
      for (const AudioPiece& piece : pieces) {
        ASSERT_EQ(piece.offset, next);
        ASSERT_GT(piece.length, 0u);
        ASSERT_LE(piece.length, limit + 80000);
        next += piece.length;
      }
      ASSERT_EQ(next, n_samples);
      if (n_samples > limit) {
        ASSERT_GT(pieces.size(), 1u);
      }
    }
  }
}

TEST(EnergySplit, RefusesALimitOfZero) {
  try {
    energy_split(noise_signal(10), 0);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  }
}

TEST(EnergySplit, QuietestPointOfARegion) {
  std::vector<float> region(16000, 0.5F);
  std::fill_n(region.begin() + 5000, 1600, 0.1F);  // 100 ms
  region[5700] = -0.01F;
  region[12000] = 0.0F;  // quieter, but in loud surroundings
  EXPECT_EQ(quietest_point(region), 5700U);
  EXPECT_EQ(quietest_point(std::span(region).first(100)), 0U);
  EXPECT_EQ(quietest_point(std::span(region).subspan(5650, 100)), 50U);
}

}  // namespace
}  // namespace qasr
