#include "engine/live_segmenter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "qasr/audio.h"

namespace qasr {
namespace {

using Kind = LiveMark::Kind;

std::vector<float> faint_noise(double duration_s, float level = 1e-4F) {
  std::vector<float> samples(static_cast<std::size_t>(duration_s * kSampleRate));
  std::uint32_t seed = 7;
  for (float& x : samples) {
    seed = seed * 1664525U + 1013904223U;
    x = level * static_cast<float>(static_cast<double>(seed >> 8) / 8388608.0 - 1);
  }
  return samples;
}

void append(std::vector<float>& samples, const std::vector<float>& more) {
  samples.insert(samples.end(), more.begin(), more.end());
}

const std::vector<float>& sentence() {
  static const std::vector<float> samples =
      load_audio(QASR_SOURCE_DIR "/models/demo-en/samples/meeting_rms.wav").samples;
  return samples;
}

struct Marks {
  std::vector<LiveMark> all;
  std::vector<std::uint64_t> of(Kind kind) const {
    std::vector<std::uint64_t> samples;
    for (const LiveMark& mark : all) {
      if (mark.kind == kind) samples.push_back(mark.sample);
    }
    return samples;
  }
};

// Pushes in blocks. Checks that no segment begins before what the segmenter had promised.
Marks marks_of(const std::vector<float>& samples, const LiveSegmentation& options, std::size_t block) {
  LiveSegmenter segmenter(options, 0);
  Marks marks;
  for (std::size_t first = 0; first < samples.size(); first += block) {
    const std::uint64_t earliest = segmenter.is_open() ? 0 : segmenter.earliest_open();
    segmenter.push(std::span(samples).subspan(first, std::min(block, samples.size() - first)));
    for (LiveMark mark; segmenter.next(mark);) {
      if (mark.kind == Kind::kOpen) {
        EXPECT_GE(mark.sample, earliest);
      }
      marks.all.push_back(mark);
    }
  }
  LiveMark rest;
  if (segmenter.open_rest(rest)) marks.all.push_back(rest);
  return marks;
}

double seconds(std::uint64_t sample) { return static_cast<double>(sample) / kSampleRate; }

TEST(LiveSegmenter, ASentenceBetweenPausesIsOneSegmentWithAnEndpoint) {
  std::vector<float> samples = faint_noise(2);
  append(samples, sentence());
  const double speech_end_s = seconds(samples.size());
  append(samples, faint_noise(4));
  const Marks marks = marks_of(samples, {}, 1600);
  ASSERT_EQ(marks.of(Kind::kOpen).size(), 1U);
  ASSERT_EQ(marks.of(Kind::kEndpoint).size(), 1U);
  ASSERT_EQ(marks.of(Kind::kClose).size(), 1U);
  EXPECT_TRUE(marks.of(Kind::kDrop).empty());
  EXPECT_GT(seconds(marks.of(Kind::kOpen)[0]), 1.5);
  EXPECT_LT(seconds(marks.of(Kind::kOpen)[0]), 2.1);
  EXPECT_NEAR(seconds(marks.of(Kind::kEndpoint)[0]), speech_end_s, 0.4);  // the recording ends in some silence
  EXPECT_GE(marks.of(Kind::kClose)[0], marks.of(Kind::kEndpoint)[0]);
}

TEST(LiveSegmenter, BlocksDoNotMatter) {
  std::vector<float> samples;
  for (const double pause_s : {0.5, 1.2, 3.0, 0.3}) {
    append(samples, faint_noise(pause_s));
    append(samples, sentence());
  }
  const Marks expected = marks_of(samples, {}, samples.size());
  ASSERT_GE(expected.all.size(), 4U);
  for (const std::size_t block : {1U, 160U, 1000U, 16000U}) {
    const Marks marks = marks_of(samples, {}, block);
    ASSERT_EQ(marks.all.size(), expected.all.size()) << block;
    for (std::size_t i = 0; i < marks.all.size(); ++i) {
      EXPECT_EQ(marks.all[i].kind, expected.all[i].kind) << block << ", mark " << i;
      EXPECT_EQ(marks.all[i].sample, expected.all[i].sample) << block << ", mark " << i;
    }
  }
}

TEST(LiveSegmenter, SilenceHasNoMarksAndNoiseIsDropped) {
  EXPECT_TRUE(marks_of(faint_noise(20), {}, 3200).all.empty());
  EXPECT_TRUE(marks_of(std::vector<float>(20 * kSampleRate), {}, 3200).all.empty());
  std::vector<float> samples = faint_noise(3);
  append(samples, faint_noise(40, 0.1F));
  const Marks marks = marks_of(samples, {}, 3200);
  ASSERT_GE(marks.all.size(), 2U);
  EXPECT_EQ(marks.all[1].kind, Kind::kDrop);
  EXPECT_LT(seconds(marks.all[1].sample), 5);
  // The detector may take some tenths of a second of 40 for a voice.
  std::uint64_t n_taken = 0;
  const std::vector<std::uint64_t> closed = marks.of(Kind::kClose);
  for (std::size_t i = 0; i < closed.size(); ++i) n_taken += closed[i] - marks.of(Kind::kOpen).at(i + 1);
  EXPECT_LT(seconds(n_taken), 1);
}

TEST(LiveSegmenter, WithoutVoiceActivityEverythingIsInSegmentsOfTheLimit) {
  std::vector<float> samples;
  while (samples.size() < 40U * kSampleRate) append(samples, sentence());
  const LiveSegmentation options{.voice_activity = false, .max_s = 8};
  const Marks marks = marks_of(samples, options, 1111);
  EXPECT_TRUE(marks.of(Kind::kEndpoint).empty());
  const std::vector<std::uint64_t> opened = marks.of(Kind::kOpen), closed = marks.of(Kind::kClose);
  ASSERT_GE(opened.size(), 5U);
  EXPECT_EQ(opened[0], 0U);
  for (std::size_t i = 0; i < closed.size(); ++i) {
    EXPECT_EQ(closed[i], opened[i + 1]);
    EXPECT_LE(closed[i] - opened[i], LiveSegmenter::max_samples(options));
    EXPECT_GE(closed[i] - opened[i], LiveSegmenter::max_samples(options) - kSampleRate);
  }
}

TEST(LiveSegmenter, LongSpeechIsCutAtTheLimit) {
  std::vector<float> samples = faint_noise(1);
  for (int n = 0; n < 8; ++n) append(samples, std::vector<float>(sentence().begin() + 8000, sentence().end() - 16000));
  const LiveSegmentation options{.max_s = 6};
  const Marks marks = marks_of(samples, options, 1600);
  const std::vector<std::uint64_t> opened = marks.of(Kind::kOpen), closed = marks.of(Kind::kClose);
  ASSERT_GE(closed.size(), 2U);
  for (std::size_t i = 0; i < closed.size(); ++i) {
    EXPECT_LE(closed[i] - opened[i], LiveSegmenter::max_samples(options));
  }
}

TEST(LiveSegmenter, EveryEndpointEndsItsSegmentWhereThatIsAskedFor) {
  std::vector<float> samples;
  for (int n = 0; n < 3; ++n) {
    append(samples, faint_noise(1.2));
    append(samples, sentence());
  }
  append(samples, faint_noise(3));
  EXPECT_EQ(marks_of(samples, {.endpoint_ends_segment = true}, 1600).of(Kind::kClose).size(), 3U);
  EXPECT_LT(marks_of(samples, {.endpoint_ends_segment = false}, 1600).of(Kind::kClose).size(), 3U);
  EXPECT_EQ(marks_of(samples, {}, 1600).of(Kind::kEndpoint).size(), 3U);
}

TEST(LiveSegmenter, SpeechAtTheVeryEndIsOpened) {
  // Too short and too late for the voice detector, and behind a segment that the level ended.
  std::vector<float> samples = faint_noise(2);
  append(samples, std::vector<float>(sentence().begin() + 4000, sentence().begin() + 4000 + kSampleRate));
  const Marks marks = marks_of(samples, {}, samples.size());
  EXPECT_FALSE(marks.of(Kind::kOpen).empty());
}

}  // namespace
}  // namespace qasr
