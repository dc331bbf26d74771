// Log-mel against reference values computed in f64 (Y, mean, deviation, maximum of the test signal S), and the edge
// cases. Whole spectrograms are compared in tests/golden_mel.
#include "audio/log_mel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "qasr/error.h"
#include "support/test_signals.h"

namespace qasr {
namespace {

LogMelSpectrogram log_mel(std::span<const float> samples, const LogMelConfig& config = {}) {
  LogMelSpectrogram out;
  LogMel(config).compute(samples, out);
  return out;
}

float at(const LogMelSpectrogram& mel, int bin, int frame) { return mel.values[bin * mel.n_frames + frame]; }

struct Statistics {
  double mean = 0, deviation = 0;
  float min = 0, max = 0;
};

Statistics statistics(const std::vector<float>& values) {
  Statistics result;
  for (float y : values) result.mean += y / static_cast<double>(values.size());
  for (float y : values) result.deviation += (y - result.mean) * (y - result.mean) / static_cast<double>(values.size());
  result.deviation = std::sqrt(result.deviation);
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  result.min = *min;
  result.max = *max;
  return result;
}

// Largest logarithm before scaling: Y = (L + 4) / 4.
double largest_log(const LogMelSpectrogram& mel) { return statistics(mel.values).max * 4.0 - 4.0; }

struct Row {
  std::size_t n_samples;
  int n_frames;
  double g, mean, deviation, min, max;
};

class LogMelTable : public testing::TestWithParam<Row> {};

TEST_P(LogMelTable, MatchesTheReference) {
  const Row row = GetParam();
  const LogMelSpectrogram mel = log_mel(tones_signal(row.n_samples));
  ASSERT_EQ(mel.n_mels, 128);
  ASSERT_EQ(mel.n_frames, row.n_frames);
  const Statistics found = statistics(mel.values);
  EXPECT_NEAR(largest_log(mel), row.g, 2e-6);
  EXPECT_NEAR(found.mean, row.mean, 1e-6);
  EXPECT_NEAR(found.deviation, row.deviation, 1e-6);
  EXPECT_NEAR(found.min, row.min, 1e-5);  // deep valleys carry the rounding of the transform
  EXPECT_NEAR(found.max, row.max, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Lengths, LogMelTable,
                         testing::Values(Row{16077, 100, 1.946805, 0.260594, 0.294211, -0.513299, 1.486701},
                                         Row{16160, 101, 1.946805, 0.261310, 0.294139, -0.513299, 1.486701},
                                         Row{1600, 10, 1.946558, 0.311986, 0.317473, -0.450999, 1.486640},
                                         Row{48000, 300, 1.947813, 0.257169, 0.292783, -0.513047, 1.486953}));

TEST(LogMel, TestSignalIsTheReferences) {
  const std::vector<float> samples = tones_signal(6);
  const double expected[] = {-0.01317722, 0.24695379, 0.41827911, 0.45964915, 0.34693599, 0.24726456};
  for (int n = 0; n < 6; ++n) EXPECT_NEAR(samples[n], expected[n], 5e-9);
}

TEST(LogMel, SpotValues) {
  const LogMelSpectrogram mel = log_mel(tones_signal(16077));
  const struct {
    int bin, frame;
    float value;
  } spots[] = {{0, 0, 0.929515f},   {0, 50, 0.065447f},   {5, 0, 0.947934f},    {18, 0, 0.828489f},
               {18, 1, 1.482033f},  {18, 50, 1.484532f},  {19, 50, 1.274506f},  {40, 50, 0.388435f},
               {61, 50, 0.222817f}, {66, 50, 0.671310f},  {80, 50, 0.225603f},  {100, 50, 0.199687f},
               {127, 0, 0.345772f}, {127, 50, 0.108250f}, {127, 99, 0.169408f}, {18, 99, 1.485130f},
               {66, 99, 0.684327f}};
  for (const auto& spot : spots) {
    EXPECT_NEAR(at(mel, spot.bin, spot.frame), spot.value, 2e-6) << spot.bin << "," << spot.frame;
  }
}

TEST(LogMel, SilenceIsExactlyMinusOneAndAHalf) {
  const LogMelSpectrogram mel = log_mel(std::vector<float>(16000, 0.0f));
  ASSERT_EQ(mel.n_frames, 100);
  EXPECT_TRUE(std::all_of(mel.values.begin(), mel.values.end(), [](float y) { return y == -1.5f; }));
}

TEST(LogMel, ToneOfOneKilohertz) {
  const LogMelSpectrogram mel = log_mel(sine_signal(16000, 1000, 16000, 0.5));
  EXPECT_NEAR(largest_log(mel), 1.897785, 2e-6);
  int loudest = 0;
  for (int bin = 1; bin < 128; ++bin) {
    if (at(mel, bin, 50) > at(mel, loudest, 50)) loudest = bin;
  }
  EXPECT_EQ(loudest, 42);
}

TEST(LogMel, DroppedFrameTakesNoPartInTheMaximum) {
  std::vector<float> samples(16000, 0.0f);
  samples[15990] = 1.0f;
  EXPECT_NEAR(largest_log(log_mel(samples)), -2.776773, 2e-6);  // -0.818637 with the frame centred on sample 16000
}

TEST(LogMel, FrameCountIsTheFloor) {
  const LogMel mel;
  EXPECT_EQ(mel.n_frames(0), 0);
  EXPECT_EQ(mel.n_frames(159), 0);
  EXPECT_EQ(mel.n_frames(160), 1);
  EXPECT_EQ(mel.n_frames(319), 1);
  EXPECT_EQ(mel.n_frames(480000), 3000);
}

TEST(LogMel, TooShortForAFrameGivesNone) {
  for (std::size_t n_samples : {0, 1, 159}) {
    const LogMelSpectrogram mel = log_mel(tones_signal(n_samples));
    EXPECT_EQ(mel.n_mels, 128);
    EXPECT_EQ(mel.n_frames, 0);
    EXPECT_TRUE(mel.values.empty());
  }
}

// Around window/2 = 200 samples, one frame and its reflections; around 16 frames, one block.
TEST(LogMel, EveryLengthIsFinite) {
  for (std::size_t n_samples = 160; n_samples < 2900; n_samples += n_samples < 420 ? 1 : 31) {
    const LogMelSpectrogram mel = log_mel(tones_signal(n_samples));
    ASSERT_EQ(mel.n_frames, static_cast<int>(n_samples / 160));
    EXPECT_TRUE(std::all_of(mel.values.begin(), mel.values.end(), [](float y) { return y > -1.5f && y < 2.0f; }));
  }
}

TEST(LogMel, OutputDoesNotDependOnEarlierCalls) {
  const std::vector<float> loud = square_signal(9000), quiet = tones_signal(5000);
  const LogMel mel;
  LogMelSpectrogram reused;
  mel.compute(loud, reused);
  const float* memory = reused.values.data();
  mel.compute(quiet, reused);
  EXPECT_EQ(reused.values.data(), memory);
  EXPECT_EQ(reused.values, log_mel(quiet).values);
}

TEST(LogMel, ThreadsShareOneObject) {
  const LogMel mel;
  const std::vector<float> samples = tones_signal(20000);
  const LogMelSpectrogram expected = log_mel(samples);
  std::vector<LogMelSpectrogram> results(4);
  {
    std::vector<std::jthread> threads;
    for (LogMelSpectrogram& result : results) {
      threads.emplace_back([&] {
        for (int repetition = 0; repetition < 5; ++repetition) mel.compute(samples, result);
      });
    }
  }
  for (const LogMelSpectrogram& result : results) EXPECT_EQ(result.values, expected.values);
}

// What the 512-point variant changes. Ports that use it also have a transform scaled by 2 (power by 4), which adds
// log10(4) / 4 = 0.1505 to Y: on S(16077) they differ from the official spectrogram by 0.212 on average.
TEST(LogMel, TransformOf512PointsRaisesEverythingALittle) {
  const LogMelSpectrogram official = log_mel(tones_signal(16077));
  const LogMelSpectrogram variant = log_mel(tones_signal(16077), {.fft_samples = 512});
  ASSERT_EQ(variant.n_frames, official.n_frames);
  std::vector<float> differences;
  for (std::size_t i = 0; i < official.values.size(); ++i) {
    differences.push_back(variant.values[i] - official.values[i]);
  }
  const Statistics found = statistics(differences);
  EXPECT_NEAR(found.mean, 0.212 - 0.1505, 0.002);
  EXPECT_NEAR(found.deviation, 0.140, 0.002);
  EXPECT_NEAR(found.max, 1.63 - 0.15, 0.02);

  const std::vector<float> noise = noise_signal(16077, 1.0);
  const LogMelSpectrogram noise_official = log_mel(noise), noise_variant = log_mel(noise, {.fft_samples = 512});
  differences.clear();
  for (std::size_t i = 0; i < noise_official.values.size(); ++i) {
    differences.push_back(noise_variant.values[i] - noise_official.values[i]);
  }
  EXPECT_NEAR(statistics(differences).mean, std::log10(1.28) / 4, 0.01);
}

TEST(LogMel, RefusesImpossibleSizes) {
  const auto message_of = [](const LogMelConfig& config) -> std::string {
    try {
      LogMel{config};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message_of({.fft_samples = 256}),
            "log-mel: fft_samples is 256, expected an even number >= window_samples (400)");
  EXPECT_EQ(message_of({.n_mels = 0}), "log-mel: n_mels is 0, expected > 0");
  EXPECT_EQ(message_of({.hop_samples = -1}), "log-mel: hop_samples is -1, expected > 0");
  EXPECT_EQ(message_of({.window_samples = 401, .fft_samples = 512}),
            "log-mel: window_samples is 401, expected an even number > 0");
}

}  // namespace
}  // namespace qasr
