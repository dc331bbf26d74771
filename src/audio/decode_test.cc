// load_audio on good recordings: exact samples, mixing, range, containers, the three kinds of source.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

extern "C" {
#include <libavutil/log.h>
}

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

#include "qasr/audio.h"
#include "qasr/error.h"
#include "support/audio_files.h"
#include "support/test_signals.h"
#include "support/wav_bytes.h"

namespace qasr {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::vector<float> decoded(const std::vector<std::byte>& file) {
  const Audio audio = load_audio(file, "memory.wav");
  EXPECT_THAT(audio.warnings, IsEmpty());
  return audio.samples;
}

// Cosine of the angle between two signals; near 1 if they have the same shape and no delay between them.
double similarity(std::span<const float> a, std::span<const float> b) {
  const std::size_t n = std::min(a.size(), b.size());
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t t = 0; t < n; ++t) {
    ab += static_cast<double>(a[t]) * b[t];
    aa += static_cast<double>(a[t]) * a[t];
    bb += static_cast<double>(b[t]) * b[t];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(LoadAudio, SixteenBitsAtSixteenKilohertzAreExact) {
  std::vector<std::int16_t> samples;
  for (int x = -32768; x <= 32767; ++x) samples.push_back(static_cast<std::int16_t>(x));
  const std::vector<float> found = decoded(wav_of(samples));
  ASSERT_EQ(found.size(), samples.size());
  for (std::size_t n = 0; n < samples.size(); ++n) ASSERT_EQ(found[n], samples[n] / 32768.0f);
}

TEST(LoadAudio, OtherSampleFormatsAreExactToo) {
  EXPECT_EQ(decoded(wav_of<std::uint8_t>({0, 64, 128, 192, 255})),
            (std::vector<float>{-1.0f, -0.5f, 0.0f, 0.5f, 127 / 128.0f}));
  EXPECT_EQ(decoded(wav_of<std::int32_t>({std::numeric_limits<std::int32_t>::min(), 1 << 30, 0, -(1 << 8)})),
            (std::vector<float>{-1.0f, 0.5f, 0.0f, -0x1p-23f}));
  EXPECT_EQ(decoded(wav_of<float>({0.1f, -0.999f, 1.0f, 1e-30f})), (std::vector<float>{0.1f, -0.999f, 1.0f, 1e-30f}));
  EXPECT_EQ(decoded(wav_of<double>({0.1, -0.999, 1.0})), (std::vector<float>{0.1f, -0.999f, 1.0f}));
  const std::vector<std::byte> s24 = {std::byte{1}, std::byte{0}, std::byte{0},
                                      std::byte{0}, std::byte{0}, std::byte{0x80}};
  EXPECT_EQ(decoded(wav_bytes({.bits = 24}, s24)), (std::vector<float>{0x1p-23f, -1.0f}));
}

TEST(LoadAudio, EveryLengthAtSixteenKilohertzIsKept) {
  for (std::size_t n_samples : {1, 2, 159, 1023, 1024, 1025, 4096, 70001}) {
    EXPECT_EQ(decoded(wav_of(noise_signal(n_samples))), noise_signal(n_samples));
  }
}

TEST(LoadAudio, MonoIsTheMeanOverChannels) {
  for (int n_channels : {2, 3, 5, 6, 8, 16}) {  // 3 and more have positions that a downmix would weight
    std::vector<std::int16_t> interleaved;
    for (int t = 0; t < 500; ++t) {
      for (int channel = 0; channel < n_channels; ++channel) {
        interleaved.push_back(static_cast<std::int16_t>((t * 37 + channel * channel * 1000) % 30000 - 15000));
      }
    }
    const std::vector<float> found = decoded(wav_of(interleaved, n_channels));
    ASSERT_EQ(found.size(), 500u);
    for (int t = 0; t < 500; ++t) {
      double mean = 0;
      for (int channel = 0; channel < n_channels; ++channel) mean += interleaved[t * n_channels + channel] / 32768.0;
      ASSERT_FLOAT_EQ(found[t], static_cast<float>(mean / n_channels)) << n_channels << " channels, sample " << t;
    }
  }
}

TEST(LoadAudio, EightFloatChannelsAt192Kilohertz) {
  const std::vector<float> tone = sine_signal(192000, 1000, 192000, 0.8);
  std::vector<float> interleaved;
  for (float x : tone) {
    for (int channel = 0; channel < 8; ++channel) interleaved.push_back(channel == 3 ? x : 0.0f);
  }
  const std::vector<float> found = decoded(wav_of(interleaved, 8, 192000));
  ASSERT_EQ(found.size(), 16000u);
  EXPECT_GT(similarity(found, sine_signal(16000, 1000, 16000, 1.0)), 0.99999);
  EXPECT_NEAR(*std::max_element(found.begin() + 4000, found.end() - 4000), 0.1f, 1e-4f);
}

TEST(LoadAudio, LoudRecordingsAreDividedByTheirPeak) {
  EXPECT_EQ(decoded(wav_of<float>({0.5f, -4.0f, 2.0f, 1.0f})), (std::vector<float>{0.125f, -1.0f, 0.5f, 0.25f}));
}

TEST(LoadAudio, QuietRecordingsAreLeftAlone) {
  EXPECT_EQ(decoded(wav_of<float>({0.001f, -0.002f})), (std::vector<float>{0.001f, -0.002f}));
}

TEST(LoadAudio, NanAndInfinityBecomeZeroWithAWarning) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Audio mono = load_audio(wav_of<float>({0.5f, kNan, -kInfinity, 0.25f, kInfinity}), "nan.wav");
  EXPECT_EQ(mono.samples, (std::vector<float>{0.5f, 0.0f, 0.0f, 0.25f, 0.0f}));
  ASSERT_EQ(mono.warnings.size(), 1u);
  EXPECT_EQ(mono.warnings[0], "samples that were NaN or infinite and became 0: 3");
  // In one of two channels, and through the resampler.
  EXPECT_EQ(load_audio(wav_of<float>({kNan, 0.5f}, 2), "nan.wav").samples, (std::vector<float>{0.25f}));
  std::vector<float> samples(48000, 0.5f);
  samples[20000] = kNan;
  for (float x : load_audio(wav_of(samples, 1, 48000), "nan.wav").samples) ASSERT_TRUE(std::abs(x) <= 1.0f);
}

TEST(LoadAudio, HugeSamplesStayFinite) {
  for (int rate : {16000, 44100}) {
    std::vector<double> samples(3000, 3e38);
    samples[100] = -1e300;  // finite in f64 only
    samples[200] = 0;
    const Audio audio = load_audio(wav_of(samples, 1, rate), "huge.wav");
    for (float x : audio.samples) ASSERT_TRUE(std::abs(x) <= 1.0f);
    EXPECT_THAT(audio.warnings, Not(IsEmpty()));
  }
}

struct Recording {
  const char* name;
  double min_similarity;
  double max_extra_samples;  // encoder padding that the container does not mark
};

class LoadAudioContainers : public testing::TestWithParam<Recording> {};

TEST_P(LoadAudioContainers, SoundLikeTheOriginal) {
  const Audio original = load_audio(audio_file("short.wav"));
  ASSERT_EQ(original.samples.size(), 9600u);
  const Audio audio = load_audio(audio_file(GetParam().name));
  EXPECT_THAT(audio.warnings, IsEmpty());
  EXPECT_GE(audio.samples.size(), 9600u);
  EXPECT_LE(audio.samples.size(), 9600 + GetParam().max_extra_samples);
  EXPECT_GE(similarity(audio.samples, original.samples), GetParam().min_similarity);
}

INSTANTIATE_TEST_SUITE_P(Files, LoadAudioContainers,
                         testing::Values(Recording{"short.flac", 1.0 - 1e-12, 0}, Recording{"alaw.wav", 0.95, 0},
                                         Recording{"mulaw.au", 0.95, 0}, Recording{"short.mp3", 0.97, 0},
                                         Recording{"short.ogg", 0.97, 64}, Recording{"short.opus", 0.9, 0},
                                         Recording{"short.webm", 0.9, 0}, Recording{"short.m4a", 0.9, 1024},
                                         Recording{"short_faststart.m4a", 0.9, 1024}, Recording{"film.mp4", 0.9, 1024}),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(LoadAudio, FlacEqualsItsSource) {
  EXPECT_EQ(load_audio(audio_file("short.flac")).samples, load_audio(audio_file("short.wav")).samples);
}

TEST(LoadAudio, RateMayChangeInTheMiddle) {
  const Audio audio = load_audio(audio_file("two_rates.aac"));
  const std::vector<float> original = load_audio(audio_file("short.wav")).samples;
  EXPECT_NEAR(static_cast<double>(audio.samples.size()), 2 * 9600, 3 * 1024);  // encoder delay and padding of both
  const std::span<const float> samples = audio.samples;
  EXPECT_GE(similarity(samples.subspan(1024), original), 0.9);  // raw AAC does not mark its delay of 1024 samples
}

TEST(LoadAudio, PathMemoryAndStreamAgree) {
  for (const char* name : {"short.wav", "short.mp3", "short.m4a", "short.ogg"}) {  // short.m4a has its index at the end
    const std::vector<float> expected = load_audio(audio_file(name)).samples;
    const std::vector<std::byte> bytes = read_bytes(audio_file(name));
    EXPECT_EQ(load_audio(bytes, name).samples, expected) << name;
    std::size_t position = 0, n_calls = 0;
    const auto read = [&](std::span<std::byte> out) {
      const std::size_t n = std::min({out.size(), bytes.size() - position, n_calls++ % 977 + 1});
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(position), n, out.begin());
      position += n;
      return n;
    };
    EXPECT_EQ(load_audio(read, name).samples, expected) << name;
  }
}

TEST(LoadAudio, PathMayBeAPipe) {
  const std::filesystem::path pipe = std::filesystem::path(testing::TempDir()) / "qasr_decode_test.fifo";
  std::filesystem::remove(pipe);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::vector<std::byte> bytes = read_bytes(audio_file("short.m4a"));
  std::jthread writer([&] {
    std::ofstream(pipe, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
  EXPECT_EQ(load_audio(pipe).samples, load_audio(audio_file("short.m4a")).samples);
  writer.join();
  std::filesystem::remove(pipe);
}

TEST(LoadAudio, WhatTheStreamThrowsPassesThrough) {
  const auto read = [](std::span<std::byte>) -> std::size_t { throw std::runtime_error("connection lost"); };
  EXPECT_THROW(load_audio(read, "socket"), std::runtime_error);
}

// As programs write it that cannot go back to fill in the length.
TEST(LoadAudio, WavOfUnknownLength) {
  for (std::uint32_t declared : {0xffffffffu, 0x7ffffff0u, 0u}) {
    std::vector<std::byte> file = wav_of(noise_signal(5000));
    std::memcpy(file.data() + 4, &declared, 4);
    std::memcpy(file.data() + 40, &declared, 4);
    EXPECT_EQ(decoded(file), noise_signal(5000)) << declared;
  }
}

TEST(LoadAudio, TruncatedFilesGiveWhatTheyHold) {
  const std::vector<std::byte> wav = wav_of(noise_signal(48000));
  const Audio audio = load_audio(std::span(wav).first(44 + 4 * 16000 + 3), "cut.wav");
  EXPECT_EQ(audio.samples, noise_signal(16000));
  ASSERT_THAT(audio.warnings, Not(IsEmpty()));
  EXPECT_EQ(audio.warnings.back(),
            "the header declares 3.00 s but only 1.00 s could be decoded; the file may be truncated");

  const std::vector<float> original = load_audio(audio_file("short.wav")).samples;
  // The FLAC file begins with 8 kB of padding.
  for (const auto& [name, n_bytes] :
       {std::pair{"short.mp3", 1500}, {"short_faststart.m4a", 2000}, {"short.flac", 14000}}) {
    const std::vector<std::byte> bytes = read_bytes(audio_file(name));
    const Audio cut = load_audio(std::span(bytes).first(n_bytes), name);
    EXPECT_GT(cut.samples.size(), 1000u) << name;
    EXPECT_LT(cut.samples.size(), 9000u) << name;
    EXPECT_GT(similarity(cut.samples, original), 0.85) << name;
    ASSERT_THAT(cut.warnings, Not(IsEmpty())) << name;
    EXPECT_THAT(cut.warnings.back(), HasSubstr("the file may be truncated")) << name;
  }
}

TEST(LoadAudio, DamageInTheMiddleIsSkippedWithAWarning) {
  std::vector<std::byte> bytes = read_bytes(audio_file("short.flac"));
  std::fill(bytes.begin() + 9000, bytes.begin() + 9100, std::byte{0xff});
  const Audio audio = load_audio(bytes, "short.flac");
  EXPECT_GT(audio.samples.size(), 4000u);
  EXPECT_THAT(audio.warnings, Not(IsEmpty()));
}

TEST(LoadAudio, WritesNothingAndLeavesFfmpegsLogLevelAlone) {
  av_log_set_level(AV_LOG_VERBOSE);
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  std::vector<std::byte> bytes = read_bytes(audio_file("short.m4a"));
  load_audio(bytes, "good.m4a");
  for (std::size_t n = 0; n < bytes.size(); n += 50) bytes[n] = std::byte{0x55};
  EXPECT_THROW(load_audio(bytes, "bad.m4a"), Error);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(av_log_get_level(), AV_LOG_VERBOSE);
  av_log_set_level(AV_LOG_INFO);
}

TEST(LoadAudio, ThreadsDecodeSideBySide) {
  const std::vector<float> expected = load_audio(audio_file("short.ogg")).samples;
  const int level = av_log_get_level();
  std::vector<std::vector<float>> results(4);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) threads.emplace_back([&] { result = load_audio(audio_file("short.ogg")).samples; });
  }
  for (const auto& result : results) EXPECT_EQ(result, expected);
  EXPECT_EQ(av_log_get_level(), level);
}

}  // namespace
}  // namespace qasr
