// Segments: nothing lost, nothing twice, cut in pauses, never longer than the limit, whatever the blocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qasr/audio.h"
#include "qasr/error.h"
#include "qasr/segmentation.h"
#include "support/mixtures.h"

namespace qasr {
namespace {

struct Result {
  std::vector<SpeechSegment> segments;
  std::vector<NonSpeech> non_speech;
};

Result segment(std::span<const float> samples, const SegmentationOptions& options, std::size_t block = 16000,
               double start_s = 0) {
  SpeechSegmenter segmenter(options, start_s);
  Result result;
  for (std::size_t t = 0; t < samples.size(); t += block) {
    segmenter.push(samples.subspan(t, std::min(block, samples.size() - t)), result.segments);
  }
  segmenter.finish(result.segments);
  result.non_speech = segmenter.non_speech();
  return result;
}

std::vector<float> sample(const std::string& name) {
  return load_audio(std::string(QASR_SOURCE_DIR) + "/models/demo-en/samples/" + name).samples;
}

// Where each copy of the sentence lies: [begin, end) in samples.
struct Talk {
  std::vector<float> samples;
  std::vector<std::pair<std::size_t, std::size_t>> sentences;
};

Talk talk(int n_sentences, double pause_s) {
  const std::vector<float> sentence = sample("meeting_rms.wav");
  Talk made;
  for (int n = 0; n < n_sentences; ++n) {
    made.samples.resize(made.samples.size() + static_cast<std::size_t>(pause_s * kSampleRate));
    made.sentences.emplace_back(made.samples.size(), made.samples.size() + sentence.size());
    made.samples.insert(made.samples.end(), sentence.begin(), sentence.end());
  }
  return made;
}

std::size_t begin_of(const SpeechSegment& one) {
  return static_cast<std::size_t>(std::lround(one.start_s * kSampleRate));
}

// Segments and gaps alternate without overlap and cover the recording; samples are those of the recording.
void expect_partition(const Result& result, std::span<const float> samples) {
  std::vector<std::pair<double, double>> parts;
  for (const SpeechSegment& one : result.segments) {
    parts.emplace_back(one.start_s, one.start_s + static_cast<double>(one.samples.size()) / kSampleRate);
    const std::span<const float> expected = samples.subspan(begin_of(one), one.samples.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), one.samples.begin()));
  }
  for (const NonSpeech& gap : result.non_speech) parts.emplace_back(gap.start_s, gap.end_s);
  std::sort(parts.begin(), parts.end());
  double at = 0;
  for (const auto& [begin, end] : parts) {
    EXPECT_NEAR(begin, at, 1e-9);
    EXPECT_LT(begin, end);
    at = end;
  }
  EXPECT_NEAR(at, static_cast<double>(samples.size()) / kSampleRate, 1e-9);
}

TEST(SpeechSegmenter, CutsInPausesNearTheTarget) {
  const Talk made = talk(20, 0.7);
  const Result result = segment(made.samples, {});
  expect_partition(result, made.samples);
  ASSERT_GE(result.segments.size(), 3u);
  for (std::size_t n = 0; n < result.segments.size(); ++n) {
    const double length_s = static_cast<double>(result.segments[n].samples.size()) / kSampleRate;
    EXPECT_LE(length_s, 30);
    if (n + 1 < result.segments.size()) {
      EXPECT_GE(length_s, 12);  // a pause of 0.8 s (0.1 s of them the sentence's own) ends segments from there on
    }
  }
  for (const auto& [begin, end] : made.sentences) {  // each sentence lies in one segment
    const auto holds = [&, first = begin, last = end](const SpeechSegment& one) {
      return begin_of(one) <= first + 800 && begin_of(one) + one.samples.size() + 1600 >= last;
    };
    EXPECT_EQ(std::count_if(result.segments.begin(), result.segments.end(), holds), 1) << begin;
  }
}

// What sounds before and after a sentence stays out, though the pause between is shorter than what ends a segment.
TEST(SpeechSegmenter, NoiseAndMusicNextToSpeechAreLeftOut) {
  const std::vector<float> sentence = sample("meeting_rms.wav");
  const auto append = [](std::vector<float>& out, std::span<const float> more) {
    out.insert(out.end(), more.begin(), more.end());
  };
  const double sentence_s = static_cast<double>(sentence.size()) / kSampleRate;
  std::vector<double> kept_s;
  for (std::uint32_t seed : {4000u, 4005u, 4006u}) {  // pieces that alone are no speech, which not all are
    std::vector<float> noise = make_noise("white", 5 * kSampleRate, seed);
    for (float& sample : noise) sample *= 0.05f;
    std::vector<float> samples(kSampleRate);
    append(samples, noise);
    append(samples, std::vector<float>(kSampleRate * 3 / 10));
    const double begin_s = static_cast<double>(samples.size()) / kSampleRate;
    append(samples, sentence);
    append(samples, std::vector<float>(kSampleRate / 2));
    append(samples, make_music(8 * kSampleRate, seed));
    append(samples, std::vector<float>(15 * kSampleRate));
    const Result result = segment(samples, {});
    expect_partition(result, samples);
    ASSERT_FALSE(result.segments.empty());
    EXPECT_GT(result.segments[0].start_s, begin_s - 0.65) << seed;
    EXPECT_LT(result.segments[0].start_s, begin_s + 0.2) << seed;
    kept_s.push_back(0);
    for (const SpeechSegment& one : result.segments) {
      kept_s.back() += static_cast<double>(one.samples.size()) / kSampleRate;
    }
  }
  EXPECT_THAT(kept_s, testing::Each(testing::Lt(sentence_s + 1.0)));
}

TEST(SpeechSegmenter, LongPausesEndSegmentsAndAreLeftOut) {
  const Talk made = talk(3, 6);
  const Result result = segment(made.samples, {.max_s = 15}, 16000, 100);
  ASSERT_EQ(result.segments.size(), 3u);
  ASSERT_EQ(result.non_speech.size(), 3u);
  for (std::size_t n = 0; n < 3; ++n) {
    EXPECT_NEAR(result.segments[n].start_s - 100, static_cast<double>(made.sentences[n].first) / kSampleRate - 0.25,
                0.3);
    EXPECT_GT(result.segments[n].speech_s, 2);
    EXPECT_GT(result.non_speech[n].end_s - result.non_speech[n].start_s, 5);
  }
}

TEST(SpeechSegmenter, BlocksDoNotMatter) {
  const Talk made = talk(14, 1.1);
  const Result expected = segment(made.samples, {}, made.samples.size());
  for (std::size_t block : {37u, 1000u, 300000u}) {
    const Result found = segment(made.samples, {}, block);
    ASSERT_EQ(found.segments.size(), expected.segments.size());
    for (std::size_t n = 0; n < found.segments.size(); ++n) {
      EXPECT_EQ(found.segments[n].start_s, expected.segments[n].start_s);
      EXPECT_EQ(found.segments[n].samples, expected.segments[n].samples);
    }
    EXPECT_EQ(found.non_speech.size(), expected.non_speech.size());
  }
}

TEST(SpeechSegmenter, SpeechWithoutPausesIsCutAtTheQuietestPlace) {
  std::vector<float> samples;
  const std::vector<float> sentence = sample("long_rms.wav");
  for (int n = 0; n < 4; ++n) samples.insert(samples.end(), sentence.begin(), sentence.end());
  for (const bool voice_activity : {false, true}) {
    const Result result = segment(samples, {.voice_activity = voice_activity, .max_s = 9, .target_s = 9});
    expect_partition(result, samples);
    ASSERT_GE(result.segments.size(), 7u);
    for (const SpeechSegment& one : result.segments) {
      EXPECT_LE(one.samples.size(), 9u * kSampleRate);
      if (&one == &result.segments.front() || voice_activity) continue;
      const std::span<const float> around = std::span(samples).subspan(begin_of(one) - 400, 800);
      EXPECT_LT(level_db(around), level_db(samples) - 15);
    }
    EXPECT_TRUE(voice_activity || result.non_speech.empty());
  }
}

TEST(SpeechSegmenter, ShortRecordingsStayWhole) {
  std::vector<float> clip = sample("meeting_rms.wav");
  clip.insert(clip.begin(), 5 * kSampleRate, 0.0f);
  const Result whole = segment(clip, {});
  ASSERT_EQ(whole.segments.size(), 1u);
  EXPECT_EQ(whole.segments[0].samples, clip);
  const Result trimmed = segment(clip, {.keep_short_whole = false});
  ASSERT_EQ(trimmed.segments.size(), 1u);
  EXPECT_NEAR(trimmed.segments[0].start_s, 4.8, 0.3);
  const Result off = segment(std::vector<float>(1000), {.voice_activity = false});
  EXPECT_EQ(off.segments.size(), 1u);
}

TEST(SpeechSegmenter, NothingSaidGivesNoSegments) {
  const Result silence = segment(std::vector<float>(20 * kSampleRate), {});
  EXPECT_THAT(silence.segments, testing::IsEmpty());
  ASSERT_EQ(silence.non_speech.size(), 1u);
  EXPECT_EQ(silence.non_speech[0].end_s, 20);
  EXPECT_THAT(segment(make_noise("pink", 40 * kSampleRate, 9), {}).segments, testing::IsEmpty());
  EXPECT_THAT(segment(std::vector<float>(), {}).segments, testing::IsEmpty());
  EXPECT_THAT(segment(std::vector<float>(), {.voice_activity = false}).segments, testing::IsEmpty());
}

TEST(SpeechSegmenter, LoudPiecesAreScaled) {
  std::vector<float> loud = sample("meeting_rms.wav");
  for (float& x : loud) x *= 10;
  const Result result = segment(loud, {});
  ASSERT_EQ(result.segments.size(), 1u);
  float peak = 0;
  for (float x : result.segments[0].samples) peak = std::max(peak, std::abs(x));
  EXPECT_EQ(peak, 1.0f);
}

TEST(SpeechSegmenter, OptionsAreChecked) {
  EXPECT_THROW(SpeechSegmenter({.max_s = 0.5}), Error);
  EXPECT_THROW(SpeechSegmenter({.max_s = NAN}), Error);
  EXPECT_THROW(SpeechSegmenter({.target_s = -1}), Error);
}

}  // namespace
}  // namespace qasr
