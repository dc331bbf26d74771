// Words of transcribed segments and of streams: those that the aligner gives for the segment's samples and text. The
// aligner has made-up weights here; whether its times are right is another test's business.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/engine_test_util.h"
#include "engine/stream_test_util.h"
#include "engine/word_times.h"
#include "qasr/align.h"

namespace qasr::test {
namespace {

class WordTimesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyCheckpoint>("tiny_aligner_b");
    engine_ = Engine::open(kDemoModel, {.n_threads = 2});
    aligner_ = Aligner::open(tiny_->folder(), {.n_threads = 2});
  }
  static void TearDownTestSuite() {
    engine_.reset();
    aligner_.reset();
    tiny_.reset();
  }
  static std::string surfaces(const Segment& segment) {
    std::string text;
    for (const Word& word : segment.words) text += word.surface;
    return text;
  }
  static void expect_equal(const std::vector<Word>& words, const std::vector<Word>& expected) {
    ASSERT_EQ(words.size(), expected.size());
    for (std::size_t i = 0; i < words.size(); ++i) {
      EXPECT_EQ(words[i].surface, expected[i].surface);
      EXPECT_EQ(words[i].start_s, expected[i].start_s);
      EXPECT_EQ(words[i].end_s, expected[i].end_s);
    }
  }

  static std::unique_ptr<TinyCheckpoint> tiny_;
  static std::shared_ptr<const Engine> engine_;
  static std::shared_ptr<const Aligner> aligner_;
};
std::unique_ptr<TinyCheckpoint> WordTimesTest::tiny_;
std::shared_ptr<const Engine> WordTimesTest::engine_;
std::shared_ptr<const Aligner> WordTimesTest::aligner_;

TEST_F(WordTimesTest, EverySegmentHasTheWordsOfItsText) {
  Request request(engine_, {.transcribe = {.language = "English", .aligner = aligner_}, .max_waiting_segments = 4});
  const std::vector<std::vector<float>> recordings = {demo_sample("meeting_rms.wav"), std::vector<float>(16000, 0.0F),
                                                      joined_samples(2, 0.3)};
  double start_s = 2.5;
  for (const std::vector<float>& samples : recordings) {
    ASSERT_TRUE(request.push_segment(samples, start_s));
    start_s += static_cast<double>(samples.size()) / kSampleRate;
  }
  const Transcript transcript = request.wait();
  ASSERT_EQ(transcript.segments.size(), recordings.size());
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    const Segment& segment = transcript.segments[i];
    EXPECT_EQ(surfaces(segment), segment.text);
    std::vector<Word> expected = aligner_->align(recordings[i], segment.text, {.language = "English"}).words;
    for (Word& word : expected) {
      word.start_s += segment.start_s;
      word.end_s += segment.start_s;
    }
    expect_equal(segment.words, expected);
  }
  EXPECT_GT(transcript.segments[0].words.size(), 5U);
  EXPECT_GT(transcript.segments[0].timings.alignment_ms, 0);
}

TEST_F(WordTimesTest, CommittedSegmentsOfAStreamHaveWords) {
  Stream stream(engine_, {.language = "English", .aligner = aligner_});
  stream.push(joined_samples(2, 2.0));
  stream.close();
  std::vector<std::shared_ptr<const Segment>> segments;
  for (StreamEvent event; stream.wait(event);) {
    if (event.kind == StreamEvent::Kind::kSegmentEnd) segments.push_back(event.result);
  }
  ASSERT_GE(segments.size(), 1U);
  for (const auto& segment : segments) {
    EXPECT_EQ(surfaces(*segment), segment->text);
    EXPECT_GE(segment->words.front().start_s, segment->start_s);
    EXPECT_LE(segment->words.back().end_s, segment->end_s + 0.08);
  }
}

TEST_F(WordTimesTest, WithoutAnAlignerThereAreNone) {
  const Transcript transcript = Session(engine_).transcribe(demo_sample("meeting_rms.wav"));
  EXPECT_TRUE(transcript.segments.at(0).words.empty());
  EXPECT_EQ(transcript.timings.alignment_ms, 0);
}

TEST_F(WordTimesTest, AFailureKeepsTheText) {
  Segment segment{.text = "Two words"}, fine{.text = "Two words"};
  const std::vector<float> broken(16000, std::numeric_limits<float>::quiet_NaN()), silence(16000);
  set_word_times(*aligner_, std::vector<SpokenSegment>{{&segment, broken}});
  EXPECT_EQ(segment.text, "Two words");
  EXPECT_TRUE(segment.words.empty());
  ASSERT_TRUE(segment.has_note(NoteKind::kWordTimes));
  EXPECT_THAT(segment.notes.front().message, ::testing::StartsWith("no word times: "));
  set_word_times(*aligner_, std::vector<SpokenSegment>{{&fine, silence}});
  EXPECT_EQ(fine.words.size(), 2U);
}

}  // namespace
}  // namespace qasr::test
