// The public API of live streams: what comes out whatever is done to them.
#include "qasr/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/stream_test_util.h"

namespace qasr::test {
namespace {

using ::testing::HasSubstr;
using Kind = StreamEvent::Kind;

class StreamTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { engine_ = Engine::open(kDemoModel, {.n_threads = 2}); }
  static void TearDownTestSuite() { engine_.reset(); }

  static std::string offline(std::span<const float> samples) { return Session(engine_).transcribe(samples).text; }
  static Collected run(const std::vector<float>& samples, const StreamOptions& options,
                       const std::function<std::size_t()>& chunk) {
    Stream stream(engine_, options);
    for (std::size_t begin = 0; begin < samples.size();) {
      const std::size_t n = std::min(chunk(), samples.size() - begin);
      EXPECT_TRUE(stream.push(std::span(samples).subspan(begin, n)));
      begin += n;
    }
    stream.close();
    Collected collected;
    collect_rest(stream, collected);
    return collected;
  }
  static Collected run(const std::vector<float>& samples, const StreamOptions& options = {}) {
    return run(samples, options, [] { return std::size_t{1600}; });
  }
  static std::string error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "expected an error";
    return "";
  }

  static std::shared_ptr<const Engine> engine_;
};
std::shared_ptr<const Engine> StreamTest::engine_;

// Whatever the pushes and the policy: events are consistent, and the text is the offline one.
TEST_F(StreamTest, CommittedTextNeverChangesWhateverTheChunks) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  const std::string expected = offline(samples);
  std::mt19937 random(7);
  std::uniform_int_distribution<std::size_t> any(1, 20000);
  for (const CommitPolicy policy : {CommitPolicy::kAgreement, CommitPolicy::kOfficial, CommitPolicy::kSegment}) {
    for (const std::size_t size : {std::size_t{1600}, std::size_t{5120}, std::size_t{16000}, std::size_t{0}}) {
      const Collected out = run(samples, {.chunk_ms = 400, .max_load = 0, .commit = policy},
                                [&] { return size > 0 ? size : any(random); });
      EXPECT_EQ(out.problem(), "");
      EXPECT_EQ(out.text(), expected) << "policy " << static_cast<int>(policy) << ", chunks of " << size;
      EXPECT_TRUE(out.ended());
      EXPECT_EQ(out.status(), RequestStatus::kDone);
      EXPECT_EQ(out.partial(), "") << "nothing uncommitted is left";
    }
  }
}

// A paced stream: words come while the sentence is spoken, not at its end.
TEST_F(StreamTest, WordsAreCommittedWhileTheSentenceGoesOn) {
  const std::vector<float> samples = demo_sample("long_rms.wav");
  TappedStream stream(engine_, {.latency = StreamLatency::kBalanced, .max_load = 0}, {});
  stream.push_paced(samples, 1600);
  stream.finish();
  const Collected& out = stream.collected();
  EXPECT_EQ(out.problem(), "");
  EXPECT_EQ(out.text(), offline(samples));
  EXPECT_GE(out.n_commits(), 6);
  ASSERT_FALSE(out.commit_times().empty());
  EXPECT_LT(out.commit_times().front().second, 3.0) << "the first words";
  EXPECT_LT(out.commit_times()[out.commit_times().size() / 2].second, 11.0);
}

TEST_F(StreamTest, PausesEndSegmentsAndAreEndpoints) {
  std::vector<float> samples = joined_samples(2, 2.6);
  const Collected out = run(samples, {.endpoint_ms = 500});
  EXPECT_EQ(out.segments().size(), 2U);
  EXPECT_GE(out.endpoints().size(), 2U);
  EXPECT_THAT(out.text(), HasSubstr("weekend? The meeting")) << "a separator between segments";
  for (const auto& segment : out.segments()) {
    EXPECT_LT(segment->start_s, segment->end_s);
    EXPECT_GT(segment->confidence, 0.5);
    EXPECT_FALSE(segment->tokens.empty());
  }
  // A dialogue system wants every pause to end the segment.
  samples = joined_samples(2, 0.9);
  EXPECT_EQ(run(samples, {.endpoint_ms = 400, .endpoint_ends_segment = true}).segments().size(), 2U);
}

TEST_F(StreamTest, SilenceAndNoiseHaveNoText) {
  for (const char* file : {"silence.wav", "noise.wav"}) {
    const Collected out = run(demo_sample(file));
    EXPECT_EQ(out.text(), "") << file;
    EXPECT_EQ(out.partial(), "") << file;
    EXPECT_TRUE(out.segments().empty()) << file;
  }
  EXPECT_EQ(run(std::vector<float>()).text(), "");
  EXPECT_EQ(run(std::vector<float>(7)).text(), "");
}

TEST_F(StreamTest, FlushCommitsAndResetForgets) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  Stream stream(engine_, {});
  Collected out;
  const auto collect_until_flushed = [&](int n) {
    StreamEvent event;
    while (out.n_flushed() < n && stream.wait(event)) out.add(event);
  };
  stream.flush();  // of nothing
  collect_until_flushed(1);
  stream.push(samples);
  stream.flush();
  collect_until_flushed(2);
  EXPECT_EQ(out.text(), offline(samples));
  const std::string before = out.text();
  stream.push(std::span(samples).first(20000));
  stream.reset();
  stream.flush();
  collect_until_flushed(3);
  EXPECT_TRUE(out.text().starts_with(before));
  EXPECT_LE(out.text().size(), before.size() + 40) << "at most what was committed before the reset";
  const std::size_t n_before = out.text().size();
  stream.push(samples);
  stream.close();
  collect_rest(stream, out);
  EXPECT_THAT(out.text().substr(n_before), HasSubstr(before));
  EXPECT_NEAR(out.segments().back()->end_s, (2.0 * samples.size() + 20000) / kSampleRate, 0.01) << "times go on";
}

TEST_F(StreamTest, OtherSampleRatesAreResampled) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  std::vector<float> doubled;  // 32 kHz by linear interpolation
  for (std::size_t n = 0; n + 1 < samples.size(); ++n) {
    doubled.push_back(samples[n]);
    doubled.push_back((samples[n] + samples[n + 1]) / 2);
  }
  EXPECT_EQ(run(doubled, {.sample_rate = 32000}).text(), offline(samples));
}

TEST_F(StreamTest, ContextCarriesOverAndIsBounded) {
  const Collected out = run(joined_samples(2, 2.6), {.carry_context_bytes = 20});
  EXPECT_EQ(out.segments().size(), 2U);
  EXPECT_EQ(out.problem(), "");
}

// ---- bad input

TEST_F(StreamTest, BadSamplesAreRefusedAndTheStreamGoesOn) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  Stream stream(engine_, {});
  std::vector<float> bad(100);
  for (const float value : {NAN, INFINITY}) {
    bad[42] = value;
    EXPECT_THAT(error_of([&] { stream.push(bad); }), HasSubstr("sample 42 is"));
    EXPECT_THAT(error_of([&] { stream.try_push(bad); }), HasSubstr("expected finite numbers"));
  }
  EXPECT_THAT(error_of([&] { stream.push(samples, 44100); }), HasSubstr("44100 Hz, the stream was opened with 16000"));
  EXPECT_TRUE(stream.push(samples, kSampleRate));
  stream.close();
  EXPECT_THAT(error_of([&] { stream.push(samples); }), HasSubstr("push after close()"));
  stream.close();
  stream.flush();
  stream.reset();
  Collected out;
  collect_rest(stream, out);
  EXPECT_EQ(out.text(), offline(samples));
  EXPECT_TRUE(stream.push(samples) == false);
  StreamEvent event;
  EXPECT_FALSE(stream.wait(event));
  EXPECT_FALSE(stream.poll(event));
}

TEST_F(StreamTest, TooLoudSamplesAreClipped) {
  std::vector<float> samples = demo_sample("meeting_rms.wav");
  samples[20000] = 1e30F;
  const Collected out = run(samples);
  EXPECT_EQ(out.status(), RequestStatus::kDone);
  EXPECT_THAT(out.text(), HasSubstr("meeting"));
}

TEST_F(StreamTest, ThousandsOfTinyPushes) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  std::size_t n = 0;
  const Collected out = run(samples, {}, [&] { return 1 + n++ % 9; });
  EXPECT_EQ(out.text(), offline(samples));
  EXPECT_EQ(out.problem(), "");
}

// Ten minutes at once: what does not fit the queue waits with its pusher, nothing is lost and nothing piles up.
TEST_F(StreamTest, ABurstOfTenMinutesIsTakenAsFastAsItCanBeTranscribed) {
  constexpr double kBuffered_s = 5;
  std::vector<float> samples(600 * kSampleRate);
  const std::vector<float> sentence = demo_sample("meeting_rms.wav");
  const std::vector<int> begins_s = {3, 100, 104, 350, 594};
  for (const int begin_s : begins_s)
    std::copy(sentence.begin(), sentence.end(), samples.begin() + begin_s * kSampleRate);
  Stream stream(engine_, {.max_buffered_s = kBuffered_s, .max_events = 8});
  EXPECT_EQ(stream.try_push(samples), static_cast<std::size_t>(kBuffered_s) * kSampleRate);
  std::atomic<bool> pushed = false;
  std::jthread pusher([&] {
    EXPECT_TRUE(stream.push(std::span(samples).subspan(static_cast<std::size_t>(kBuffered_s) * kSampleRate)));
    pushed = true;
    stream.close();
  });
  Collected out;
  StreamEvent event;
  double most_waiting_s = 0;
  bool pushed_early = false;
  while (stream.wait(event)) {
    out.add(event);
    const StreamProgress progress = stream.progress();
    most_waiting_s = std::max(most_waiting_s, progress.pushed_s - progress.transcribed_s);
    pushed_early = pushed_early || (pushed && progress.transcribed_s < 500);
  }
  EXPECT_FALSE(pushed_early) << "the queue took more than max_buffered_s";
  EXPECT_LT(most_waiting_s, kBuffered_s + 8) << "the queue, and the open segment";
  EXPECT_EQ(out.status(), RequestStatus::kDone);
  EXPECT_EQ(out.problem(), "");
  EXPECT_NEAR(stream.progress().transcribed_s, 600, 0.1);
  std::string expected = offline(sentence);
  for (std::size_t n = 1; n < begins_s.size(); ++n) expected += " " + offline(sentence);
  EXPECT_EQ(out.text(), expected);
  ASSERT_FALSE(out.segments().empty());
  EXPECT_NEAR(out.segments().front()->start_s, begins_s.front(), 0.6);
  EXPECT_NEAR(out.segments().back()->start_s, begins_s.back(), 0.6);
  EXPECT_NEAR(out.segments().front()->start_s, begins_s.front(), 0.6);
  EXPECT_NEAR(out.segments().back()->start_s, begins_s.back(), 0.6);
}

TEST_F(StreamTest, ASlowConsumerStopsTheStreamAndLosesNothing) {
  const std::vector<float> samples = joined_samples(4, 2.5);
  const std::string expected = run(samples).text();
  Stream stream(engine_, {.max_buffered_s = 3600, .max_events = 8});
  for (std::size_t begin = 0; begin < samples.size(); begin += 1600) {
    stream.push(std::span(samples).subspan(begin, std::min<std::size_t>(1600, samples.size() - begin)));
  }
  stream.close();
  // Nobody takes events: after a while nothing is computed any more.
  double before_s = -1;
  while (stream.progress().transcribed_s > before_s) {
    before_s = stream.progress().transcribed_s;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  EXPECT_LT(before_s, static_cast<double>(samples.size()) / kSampleRate - 1);
  Collected out;
  collect_rest(stream, out);
  EXPECT_EQ(out.text(), expected);
  EXPECT_EQ(out.problem(), "");
}

TEST_F(StreamTest, CancelFromAnotherThreadWhileItDecodes) {
  const std::vector<float> samples = demo_sample("long_rms.wav");
  for (const int delay_ms : {0, 5, 40, 120}) {
    Stream stream(engine_, {.chunk_ms = 200});
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      stream.cancel();
    });
    for (int round = 0; round < 50 && stream.push(samples); ++round) {
    }
    other.join();
    EXPECT_FALSE(stream.push(samples));
    Collected out;
    collect_rest(stream, out);
    EXPECT_EQ(out.status(), RequestStatus::kCancelled);
    EXPECT_TRUE(out.ended());
  }
  { const Stream abandoned(engine_, {}); }  // never used
  Stream dropped(engine_, {});
  dropped.push(samples);  // destroyed with work to do
}

TEST_F(StreamTest, CallbacksReplaceTheQueue) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  Collected out;
  std::string refused;
  std::atomic<bool> ended = false;
  Stream* handle = nullptr;
  Stream stream(engine_, {.on_event = [&](const StreamEvent& event) {
                  out.add(event);
                  if (event.kind == Kind::kCommitted && refused.empty()) {
                    refused = error_of([&] { handle->push(samples); });
                  }
                  ended = event.kind == Kind::kEnd;
                }});
  handle = &stream;
  stream.push(samples);
  stream.close();
  StreamEvent event;
  EXPECT_FALSE(stream.wait(event));
  EXPECT_TRUE(ended);
  EXPECT_EQ(out.text(), offline(samples));
  EXPECT_THAT(refused, HasSubstr("in a callback"));

  Stream failing(engine_, {.on_event = [](const StreamEvent& e) {
                   if (e.kind == Kind::kCommitted) throw std::runtime_error("the consumer broke");
                 }});
  failing.push(samples);
  failing.close();
  EXPECT_FALSE(failing.wait(event));
  EXPECT_FALSE(failing.push(samples));
}

TEST_F(StreamTest, OptionsOutOfRangeAreNamed) {
  const auto refused = [&](StreamOptions options) { return error_of([&] { Stream(engine_, std::move(options)); }); };
  EXPECT_THAT(refused({.language = "Klingon"}), HasSubstr("unknown language \"Klingon\""));
  EXPECT_EQ(refused({.chunk_ms = 50}), "chunk_ms is 50, expected 100 to 10000");
  EXPECT_EQ(refused({.max_load = -1}), "max_load is -1, expected 0 to 100");
  EXPECT_EQ(refused({.agreement = 9}), "agreement is 9, expected 1 to 8");
  EXPECT_EQ(refused({.endpoint_ms = 1}), "endpoint_ms is 1, expected 100 to 10000");
  EXPECT_EQ(refused({.max_segment_s = 4.5}), "max_segment_s is 4.5, expected 5 to 120");
  EXPECT_THAT(refused({.max_segment_s = NAN}), HasSubstr("max_segment_s is nan"));
  EXPECT_EQ(refused({.sample_rate = 0}), "sample_rate is 0, expected 4000 to 192000");
  EXPECT_EQ(refused({.max_events = 2}), "max_events is 2, expected 8 to 1000000000");
  EXPECT_THAT(error_of([] { Stream(nullptr, {}); }), HasSubstr("the engine is null"));
}

// Streams and recordings share an engine; nobody's text depends on the others.
TEST_F(StreamTest, ManyStreamsAndARecordingAtATime) {
  const std::vector<float> samples = demo_sample("meeting_rms.wav");
  const std::string expected = offline(samples);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int index = 0; index < 5; ++index) streams.push_back(std::make_unique<Stream>(engine_, StreamOptions{}));
  std::string recording;
  std::thread offline_work([&] { recording = offline(samples); });
  for (std::size_t begin = 0; begin < samples.size(); begin += 4000) {
    for (const auto& stream : streams) {
      stream->push(std::span(samples).subspan(begin, std::min<std::size_t>(4000, samples.size() - begin)));
    }
  }
  for (const auto& stream : streams) {
    stream->close();
    Collected out;
    collect_rest(*stream, out);
    EXPECT_EQ(out.text(), expected);
    EXPECT_EQ(out.problem(), "");
  }
  offline_work.join();
  EXPECT_EQ(recording, expected);
}

}  // namespace
}  // namespace qasr::test
