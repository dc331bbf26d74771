// Live streams compute exactly what a fresh run over the same audio would: every step of every stream, token by token,
// whatever was kept of the step before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/stream_test_util.h"

namespace qasr::test {
namespace {

using ::testing::ElementsAreArray;

constexpr int kMaxTokens = 200;

// A step as it was seen.
struct Step {
  std::vector<float> samples;
  std::vector<std::int32_t> forced, ids;
  std::int64_t n_kept_rows = 0;
  std::size_t n_windows_again = 0;
  std::size_t n_foreseen = 0;
};

// Pushes 100 ms at a time and lets every step end before the next push, so that steps are taken as in a paced stream.
std::vector<Step> steps_of(const std::shared_ptr<const Engine>& engine, const std::vector<float>& samples,
                           const StreamOptions& options) {
  std::vector<Step> steps;
  TappedStream stream(engine, options, [&](const LiveStep& step) {
    steps.push_back({.samples = {step.samples.begin(), step.samples.end()},
                     .forced = {step.forced_ids.begin(), step.forced_ids.end()},
                     .ids = {step.ids.begin(), step.ids.end()},
                     .n_kept_rows = step.n_kept_rows,
                     .n_windows_again = step.n_windows_again,
                     .n_foreseen = step.n_foreseen});
  });
  stream.push_paced(samples, 1600);
  stream.finish();
  return steps;
}

// The greedy answer of a fresh run that is made to begin with `forced`.
std::vector<std::int32_t> fresh_answer(const Engine& engine, const Step& step) {
  std::vector<float> samples = step.samples;
  samples.resize(std::max<std::size_t>(samples.size(), 8000));
  return forced_answer(engine, samples, step.forced, kMaxTokens);
}

void expect_exact(const Engine& engine, const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    EXPECT_THAT(step.ids, ElementsAreArray(fresh_answer(engine, step)))
        << step.samples.size() / 16000.0 << " s, " << step.forced.size() << " tokens forced, " << step.n_kept_rows
        << " rows kept";
  }
}

class StreamExactTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { engine_ = Engine::open(kDemoModel, {.n_threads = 2}); }
  static void TearDownTestSuite() { engine_.reset(); }
  static std::shared_ptr<const Engine> engine_;
};
std::shared_ptr<const Engine> StreamExactTest::engine_;

// Two sentences, more than one window of the encoder, no digital silence.
std::vector<float> long_speech() { return joined_samples(3, 0.15); }

TEST_F(StreamExactTest, EveryStepOfARecordingEqualsAFreshRun) {
  const std::vector<Step> steps = steps_of(engine_, long_speech(), {.chunk_ms = 1000, .max_load = 0, .agreement = 2});
  ASSERT_GE(steps.size(), 8U);
  expect_exact(*engine_, steps);
  const bool any_kept = std::any_of(steps.begin(), steps.end(), [](const Step& s) { return s.n_kept_rows >= 104; });
  EXPECT_TRUE(any_kept) << "nothing was kept: this test proves nothing";
  const bool any_forced = std::any_of(steps.begin(), steps.end(), [](const Step& s) { return s.forced.size() > 3; });
  EXPECT_TRUE(any_forced);
}

// Words that were found before are verified, not generated again.
TEST_F(StreamExactTest, OnlyNewWordsAreDecoded) {
  const std::vector<Step> steps =
      steps_of(engine_, long_speech(), {.chunk_ms = 500, .max_load = 0, .commit = CommitPolicy::kSegment});
  ASSERT_GE(steps.size(), 10U);
  std::size_t n_foreseen = 0, n_tokens = 0;
  for (const Step& step : steps) {
    n_foreseen += step.n_foreseen;
    n_tokens += step.ids.size();
  }
  EXPECT_GT(n_foreseen, n_tokens * 7 / 10) << n_tokens;
}

// The clamp of the log-mel hangs on the loudest frame so far: a clap after nine seconds changes the features of all of
// them. They are computed again, and the step still equals a fresh run.
TEST_F(StreamExactTest, ALoudSoundLateInTheStream) {
  std::vector<float> samples = joined_samples(4, 0.15);
  for (float& x : samples) x *= 0.03F;
  const std::size_t at = 9 * kSampleRate + 4000;
  ASSERT_GT(samples.size(), at + kSampleRate);
  for (std::size_t n = 0; n < 400; ++n) samples[at + n] = n % 8 < 4 ? 0.9F : -0.9F;
  const std::vector<Step> steps = steps_of(
      engine_, samples, {.chunk_ms = 1000, .max_load = 0, .commit = CommitPolicy::kSegment, .voice_activity = false});
  expect_exact(*engine_, steps);
  ASSERT_GE(steps.size(), 9U);
  EXPECT_GE(steps.back().n_windows_again, 1U) << "the clap changed nothing: this test proves nothing";
}

// The segment's text is the offline text of its samples if nothing is committed before its end.
TEST_F(StreamExactTest, AClosedSegmentHasTheOfflineText) {
  const std::vector<float> samples = joined_samples(4, 2.5);
  std::vector<Step> finals;
  TappedStream stream(engine_, {.commit = CommitPolicy::kSegment}, [&](const LiveStep& step) {
    finals.push_back({.samples = {step.samples.begin(), step.samples.end()}});
  });
  stream.push_paced(samples, 3200);
  stream.finish();
  ASSERT_GE(stream.segments().size(), 3U);
  Session session(engine_);
  for (const auto& segment : stream.segments()) {
    const auto first = static_cast<std::size_t>(std::lround(segment->start_s * kSampleRate));
    const auto end = static_cast<std::size_t>(std::lround(segment->end_s * kSampleRate));
    const Transcript offline = session.transcribe(std::span(samples).subspan(first, end - first));
    EXPECT_EQ(segment->text, offline.text);
    ASSERT_EQ(offline.segments.size(), 1U);
    EXPECT_EQ(ids_of(*segment), ids_of(offline.segments[0]));
    EXPECT_EQ(segment->avg_log_prob, offline.segments[0].avg_log_prob);  // verified or decoded: the same bits
  }
}

// Keys and values of a stream that waits may be taken away by others: it computes them again.
TEST_F(StreamExactTest, WhatWasKeptMayBeTakenAway) {
  const auto& config = engine_->impl().model->config().text;
  const auto position_bytes = KvPool::bytes_per_position(config, DType::kBf16);
  const auto engine =
      Engine::open(kDemoModel, {.n_threads = 2, .scheduler = {.kv_cache_bytes = position_bytes * 10 * 64}});
  const std::vector<float> samples = long_speech();
  std::vector<Step> steps;
  const LiveStepTap tap = [&](const LiveStep& step) {
    steps.push_back({.samples = {step.samples.begin(), step.samples.end()},
                     .forced = {step.forced_ids.begin(), step.forced_ids.end()},
                     .ids = {step.ids.begin(), step.ids.end()},
                     .n_kept_rows = step.n_kept_rows});
  };
  const StreamOptions options{.chunk_ms = 2500, .max_load = 0, .max_segment_s = 14};
  std::vector<std::unique_ptr<TappedStream>> streams;
  for (int index = 0; index < 4; ++index) streams.push_back(std::make_unique<TappedStream>(engine, options, tap));
  for (std::size_t begin = 0; begin < samples.size(); begin += 8000) {
    const std::size_t n = std::min<std::size_t>(8000, samples.size() - begin);
    for (const auto& stream : streams) stream->push_paced(std::span(samples).subspan(begin, n), 8000);
  }
  for (const auto& stream : streams) stream->finish();
  EXPECT_EQ(streams[0]->collected().text(), streams[3]->collected().text());
  expect_exact(*engine_, steps);
}

}  // namespace
}  // namespace qasr::test
