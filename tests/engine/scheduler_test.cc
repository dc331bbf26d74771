// Requests and the scheduler: batches equal single runs token for token whatever arrives, leaves and is displaced;
// order, fairness, priority, back-pressure, cancellation, failure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <latch>
#include <mutex>
#include <random>
#include <thread>

#include "engine/engine_test_util.h"

namespace qasr::test {
namespace {

using ::testing::HasSubstr;

// Made-up weights answer without end: a limit, and no guard, which would object.
class SchedulerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { tiny_ = std::make_unique<TinyCheckpoint>(); }
  static void TearDownTestSuite() { tiny_.reset(); }
  static std::shared_ptr<const Engine> open(const SchedulerOptions& scheduler,
                                            BackendKind backend = BackendKind::kCpu) {
    return Engine::open(tiny_->folder(), {.backend = backend, .n_threads = 2, .scheduler = scheduler});
  }
  static std::unique_ptr<TinyCheckpoint> tiny_;
};
std::unique_ptr<TinyCheckpoint> SchedulerTest::tiny_;

// Segments of several lengths with what each gives alone, by the model's own prefill and decode steps.
struct Case {
  std::vector<float> samples;
  Answer expected;
};
std::vector<Case> cases(const Engine& engine, const TranscribeOptions& options, std::initializer_list<double> lengths) {
  std::vector<Case> all;
  for (const double length_s : lengths) {
    Case c{noise(length_s, static_cast<std::uint32_t>(all.size() + 1)), {}};
    c.expected = answer_alone(engine, c.samples, options, options.max_tokens);
    all.push_back(std::move(c));
  }
  return all;
}

void expect_answer(const Segment& segment, const Answer& expected, const std::string& what) {
  EXPECT_EQ(ids_of(segment), expected.ids) << what;
  ASSERT_EQ(segment.tokens.size(), expected.log_probs.size()) << what;
  for (std::size_t i = 0; i < expected.log_probs.size(); ++i) {
    EXPECT_NEAR(segment.tokens[i].log_prob, expected.log_probs[i], 2e-5) << what << ", token " << i;
  }
}

TEST_F(SchedulerTest, OneRequestGivesWhatTheModelGivesAlone) {
  for (const BackendKind backend : {BackendKind::kReference, BackendKind::kCpu}) {
    const auto engine = open({.max_batch = 3}, backend);
    SCOPED_TRACE(engine->backend_description());
    TranscribeOptions options = endless(20);
    options.context = "A context of more than one page of the cache: " + std::string(300, 'x');
    options.hotwords = {"Hopper", " Aiken "};
    Request request(engine, {.transcribe = options, .max_waiting_segments = 10});
    const std::vector<Case> all = cases(*engine, options, {1.5, 0.6, 3.2, 8.1, 2.0});
    for (const Case& c : all) EXPECT_TRUE(request.push_segment(c.samples, 0));
    const Transcript transcript = request.wait();
    ASSERT_EQ(transcript.segments.size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      expect_answer(transcript.segments[i], all[i].expected, "segment " + std::to_string(i));
      EXPECT_TRUE(transcript.segments[i].truncated);
      EXPECT_TRUE(transcript.segments[i].has_note(NoteKind::kTruncated));
    }
    EXPECT_EQ(transcript.timings.n_generated_tokens, 20 * 5);
    EXPECT_EQ(request.status(), RequestStatus::kDone);
  }
}

// Four threads with requests of both priorities that begin, end and are cancelled at random, on a pool of pages so
// small that sequences displace each other all the time.
TEST_F(SchedulerTest, RandomArrivalsCancellationsAndDisplacementsChangeNothing) {
  const TranscribeOptions options = endless(90);
  const auto probe = open({});
  const std::vector<Case> all = cases(*probe, options, {0.5, 1.1, 2.3, 4.0, 6.5, 9.0});
  const std::uint64_t position = probe->info().kv_cache_bytes_per_token;
  const auto engine = open({.max_batch = 5, .kv_cache_bytes = position * 64 * 6, .max_rows_between_steps = 30});
  std::atomic<int> n_checked{0}, n_cancelled{0};
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t + 1);
        for (int round = 0; round < 8; ++round) {
          std::vector<std::size_t> picks(1 + random() % 4);
          for (std::size_t& pick : picks) pick = random() % all.size();
          Request request(engine, {.transcribe = options,
                                   .priority = random() % 3 == 0 ? Priority::kLive : Priority::kOffline,
                                   .max_waiting_segments = 2});
          for (const std::size_t pick : picks) request.push_segment(all[pick].samples, 0);
          const bool cancels = random() % 4 == 0;
          if (cancels) {
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
            if (random() % 2 == 0) continue;  // destroyed instead
            request.cancel();
            ++n_cancelled;
          }
          const Transcript transcript = request.wait();
          EXPECT_TRUE(cancels || transcript.segments.size() == picks.size()) << transcript.segments.size();
          for (std::size_t i = 0; i < transcript.segments.size(); ++i) {
            EXPECT_EQ(ids_of(transcript.segments[i]), all[picks[i]].expected.ids) << "segment of " << picks[i];
            ++n_checked;
          }
        }
      });
    }
  }
  EXPECT_GT(n_checked, 30);
}

TEST_F(SchedulerTest, DrawnTokensDoNotDependOnTheCompanyEither) {
  TranscribeOptions options = endless(25);
  options.sampling = {
      .temperature = 0.8, .top_k = 50, .top_p = 0.95, .seed = 3, .repetition_penalty = 1.1, .no_repeat_ngram_size = 3};
  const auto run = [&](int max_batch) {
    const auto engine = open({.max_batch = max_batch});
    Request other(engine, {.transcribe = endless(60)});
    for (int i = 0; i < 3 && max_batch > 1; ++i) other.push_segment(noise(1 + i, 9), 0);
    Request request(engine, {.transcribe = options, .max_waiting_segments = 8});
    for (std::uint32_t i = 0; i < 5; ++i) request.push_segment(noise(0.7 + i, i), 0);
    return request.wait();
  };
  const Transcript alone = run(1), together = run(4);
  ASSERT_EQ(alone.segments.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(ids_of(together.segments[i]), ids_of(alone.segments[i])) << i;
    EXPECT_EQ(alone.segments[i].tokens.size(), 25U);
    EXPECT_DOUBLE_EQ(alone.segments[i].temperature, 0.8);
  }
  EXPECT_NE(ids_of(alone.segments[0]), ids_of(alone.segments[1]));
}

// Events of several requests in the order they happen, under a lock.
class Log {
 public:
  void add(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  std::size_t position(const std::string& event) const {
    return static_cast<std::size_t>(std::find(events_.begin(), events_.end(), event) - events_.begin());
  }
  std::size_t size() const { return events_.size(); }

 private:
  std::mutex mutex_;
  std::vector<std::string> events_;
};

RequestOptions logged(const std::string& name, Log& log, Priority priority = Priority::kOffline) {
  return {.transcribe = endless(40),
          .priority = priority,
          .max_waiting_segments = 10,
          .on_segment = [&log, name](std::size_t i, const Segment&) { log.add(name + std::to_string(i)); }};
}

// Stops the scheduler in a callback until told to go on, so that what waits is known.
class Gate {
 public:
  explicit Gate(std::shared_ptr<const Engine> engine)
      : request_(std::move(engine), {.transcribe = endless(1), .on_segment = [this](std::size_t, const Segment&) {
                                       reached_.count_down();
                                       open_.wait();
                                     }}) {
    request_.push_segment(noise(0.5, 1), 0);
    reached_.wait();
  }
  void open() { open_.count_down(); }

 private:
  std::latch reached_{1}, open_{1};
  Request request_;
};

TEST_F(SchedulerTest, RequestsShareTheBatchEvenly) {
  const auto engine = open({.max_batch = 2});
  Log log;
  Gate gate(engine);
  Request first(engine, logged("a", log)), second(engine, logged("b", log));
  for (int i = 0; i < 6; ++i) first.push_segment(noise(1, 1), 0);
  for (int i = 0; i < 2; ++i) second.push_segment(noise(1, 1), 0);
  gate.open();
  first.wait();
  second.wait();
  EXPECT_LT(log.position("b1"), log.position("a3"));  // although all of a came first
}

TEST_F(SchedulerTest, LiveGoesBeforeOfflineEvenWhenTheBatchAndTheCacheAreFull) {
  const std::uint64_t position = open({})->info().kv_cache_bytes_per_token;
  const auto engine = open({.max_batch = 2, .kv_cache_bytes = position * 64 * 9});
  Log log;
  Gate gate(engine);
  Request offline(engine, logged("offline", log));
  for (int i = 0; i < 4; ++i) offline.push_segment(noise(15, 1), 0);  // 4 pages each with their answers
  std::latch begun{1};
  std::atomic<bool> seen{false};
  Request watcher(engine, {.transcribe = endless(30), .on_text = [&](const TextUpdate&) {
                             if (!seen.exchange(true)) begun.count_down();
                           }});
  watcher.push_segment(noise(1, 2), 0);
  gate.open();
  begun.wait();
  Request live(engine, logged("live", log, Priority::kLive));
  for (int i = 0; i < 2; ++i) live.push_segment(noise(4, 3), 0);
  live.wait();
  offline.wait();
  EXPECT_LT(log.position("live1"), log.position("offline3"));
  EXPECT_EQ(log.size(), 6U);
}

// Where a batch costs more than a live run alone, a recording's text stands still while a live segment is under way ...
TEST_F(SchedulerTest, RecordingsWaitForALiveSegment) {
  const auto engine = open({.max_batch = 4});
  std::atomic<int> n_offline{0}, n_live{0}, n_offline_beside{0};
  std::latch begun{1};
  Request offline(engine, {.transcribe = endless(400), .max_waiting_segments = 10, .on_text = [&](const TextUpdate&) {
                             if (n_offline++ == 10) begun.count_down();
                             if (n_live > 0 && n_live < 40) ++n_offline_beside;
                           }});
  for (std::uint32_t n = 0; n < 4; ++n) offline.push_segment(noise(2, n), 0);
  begun.wait();
  Request live(engine, {.transcribe = endless(60), .priority = Priority::kLive, .on_text = [&](const TextUpdate&) {
                          ++n_live;
                        }});
  live.push_segment(noise(4, 3), 0);
  live.wait();
  EXPECT_GE(n_live, 40);
  EXPECT_LT(n_offline_beside, 20) << "a tenth of the time";
  offline.cancel();
}

// ... but goes on, slowly, however much live work there is.
TEST_F(SchedulerTest, EndlessLiveWorkDoesNotStopRecordings) {
  const auto engine = open({.max_batch = 1});
  std::atomic<bool> offline_done{false};
  std::atomic<int> n_live_after{0};
  Request live(engine, {.transcribe = endless(60),
                        .priority = Priority::kLive,
                        .max_waiting_segments = 100,
                        .on_segment = [&](std::size_t, const Segment&) { n_live_after += offline_done ? 1 : 0; }});
  for (std::uint32_t n = 0; n < 60; ++n) live.push_segment(noise(1, n), 0);
  Request offline(engine,
                  {.transcribe = endless(10), .on_segment = [&](std::size_t, const Segment&) { offline_done = true; }});
  offline.push_segment(noise(1, 1), 0);
  offline.wait();
  live.wait();
  EXPECT_GT(n_live_after, 0) << "the recording had to wait for all live work";
}

TEST_F(SchedulerTest, TextComesInOrderAndPiecesMakeTheSegments) {
  const auto engine = open({.max_batch = 4});
  std::vector<std::string> shown;
  std::vector<std::size_t> order, done;
  RequestProgress last;
  Request request(engine, {.transcribe = endless(30),
                           .max_waiting_segments = 10,
                           .on_text =
                               [&](const TextUpdate& update) {
                                 shown.resize(std::max(shown.size(), update.segment + 1));
                                 shown[update.segment] =
                                     (update.replaces ? "" : shown[update.segment]) + std::string(update.piece);
                                 order.push_back(update.segment);
                               },
                           .on_segment = [&](std::size_t index, const Segment&) { done.push_back(index); },
                           .on_progress = [&](const RequestProgress& progress) { last = progress; }});
  for (std::uint32_t i = 0; i < 6; ++i) request.push_segment(noise(6.0 - i, i), i * 10.0);
  const Transcript transcript = request.wait();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(done, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5}));
  ASSERT_EQ(transcript.segments.size(), 6U);
  for (std::size_t i = 0; i < shown.size(); ++i) EXPECT_EQ(shown[i], transcript.segments[i].text) << i;
  EXPECT_EQ(last.n_segments_done, 6U);
  EXPECT_DOUBLE_EQ(last.audio_done_s, 6 + 5 + 4 + 3 + 2 + 1);
  EXPECT_DOUBLE_EQ(transcript.segments[2].start_s, 20);
  EXPECT_DOUBLE_EQ(transcript.segments[2].end_s, 24);
}

TEST_F(SchedulerTest, PushingWaitsWhileEnoughIsQueued) {
  const auto engine = open({.max_batch = 1});
  Gate gate(engine);
  Request request(engine, {.transcribe = endless(5), .max_waiting_segments = 2});
  EXPECT_EQ(request.try_push_segment(noise(1, 1), 0), Request::Push::kAdded);
  EXPECT_EQ(request.try_push_segment(noise(1, 1), 1), Request::Push::kAdded);
  EXPECT_EQ(request.try_push_segment(noise(1, 1), 2), Request::Push::kFull);
  std::atomic<bool> pushed{false};
  std::jthread pusher([&] {
    request.push_segment(noise(1, 1), 2);
    pushed = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(pushed);
  gate.open();
  pusher.join();
  EXPECT_EQ(request.wait().segments.size(), 3U);
  EXPECT_THROW(request.push_segment(noise(1, 1), 0), Error);
}

TEST_F(SchedulerTest, CancelledRequestsEndAtOnceAndKeepWhatWasDone) {
  const auto engine = open({.max_batch = 1});
  RequestStatus ended = RequestStatus::kRunning;
  Request* self = nullptr;
  Request request(engine, {.transcribe = endless(20),
                           .max_waiting_segments = 50,
                           .on_segment =
                               [&](std::size_t index, const Segment&) {
                                 if (index == 1) self->cancel();
                               },
                           .on_end =
                               [&](RequestStatus status, const Error* error) {
                                 ended = status;
                                 EXPECT_EQ(error, nullptr);
                               }});
  self = &request;
  for (int i = 0; i < 20; ++i) request.push_segment(noise(1, 1), 0);
  EXPECT_EQ(request.wait().segments.size(), 2U);
  EXPECT_EQ(request.status(), RequestStatus::kCancelled);
  EXPECT_EQ(ended, RequestStatus::kCancelled);
  EXPECT_EQ(request.try_push_segment(noise(1, 1), 0), Request::Push::kEnded);
  request.cancel();
}

TEST_F(SchedulerTest, AThrowingCallbackFailsItsRequestOnly) {
  const auto engine = open({.max_batch = 4});
  std::string ended;
  Request bad(engine, {.transcribe = endless(20),
                       .on_segment = [](std::size_t, const Segment&) { throw std::runtime_error("no more paper"); },
                       .on_end =
                           [&](RequestStatus status, const Error* error) {
                             if (status == RequestStatus::kFailed) ended = error->what();
                           }});
  Request good(engine, {.transcribe = endless(20)});
  for (int i = 0; i < 3; ++i) {
    bad.push_segment(noise(1, 1), 0);
    good.push_segment(noise(1, 1), 0);
  }
  EXPECT_EQ(good.wait().segments.size(), 3U);
  try {
    bad.wait();
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no more paper"));
  }
  EXPECT_THAT(ended, HasSubstr("no more paper"));
}

TEST_F(SchedulerTest, CallbacksMayNotWaitForTheScheduler) {
  const auto engine = open({.max_batch = 1});
  Request* self = nullptr;
  Request request(engine, {.transcribe = endless(5), .on_segment = [&](std::size_t, const Segment&) { self->wait(); }});
  self = &request;
  request.push_segment(noise(1, 1), 0);
  EXPECT_THROW(request.wait(), Error);
}

TEST_F(SchedulerTest, SegmentsThatCannotFitAreRefusedAndTheRequestGoesOn) {
  const std::uint64_t position = open({})->info().kv_cache_bytes_per_token;
  const auto engine = open({.kv_cache_bytes = position * 64 * 4});
  Request request(engine, {.transcribe = endless(20)});
  try {
    request.push_segment(noise(30, 1), 0);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("256"), HasSubstr("kv_cache_bytes")));
  }
  std::vector<float> bad = noise(1, 1);
  bad[5] = NAN;
  EXPECT_THROW(request.push_segment(bad, 0), Error);
  EXPECT_TRUE(request.push_segment(noise(10, 1), 0));
  EXPECT_EQ(request.wait().segments.size(), 1U);
}

TEST_F(SchedulerTest, EnginesMayGoWhileRequestsJustWent) {
  for (int round = 0; round < 10; ++round) {
    auto engine = open({.max_batch = 2});
    std::vector<Request> requests;
    for (int i = 0; i < 3; ++i) {
      requests.emplace_back(engine, RequestOptions{.transcribe = endless(200)});
      requests.back().push_segment(noise(3, 1), 0);
    }
    engine.reset();
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 3));
  }
}

TEST_F(SchedulerTest, LoadTellsWhatIsUnderWay) {
  const auto engine = open({.max_batch = 3});
  EXPECT_EQ(engine->current_load().max_batch, 3);
  EXPECT_EQ(engine->current_load().n_kv_pages, 0);  // there is no pool yet
  EngineLoad during;
  Request request(engine,
                  {.transcribe = endless(6), .on_text = [&](const TextUpdate&) { during = engine->current_load(); }});
  for (int n = 0; n < 3; ++n) request.push_segment(noise(0.6, 7), n);
  request.wait();
  EXPECT_EQ(during.n_requests, 1);
  EXPECT_GT(during.n_kv_pages_used, 0);
  EXPECT_GE(during.n_sequences, 1);
  EngineLoad after = engine->current_load();
  for (int n = 0; n < 1000 && after.n_requests > 0; ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    after = engine->current_load();
  }
  EXPECT_EQ(after.n_requests, 0);
  EXPECT_EQ(after.n_sequences, 0);
  EXPECT_LT(after.n_kv_pages_used, during.n_kv_pages_used);
  EXPECT_GE(after.n_decode_steps, 6u);
  EXPECT_EQ(after.n_decode_rows, 3u * 6);
}

TEST_F(SchedulerTest, OptionsOutOfRangeAreNamed) {
  const auto engine = open({});
  const auto error_of = [&](const TranscribeOptions& options) -> std::string {
    try {
      Request(engine, {.transcribe = options});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of({.sampling = {.temperature = 9}}), HasSubstr("temperature is 9"));
  EXPECT_THAT(error_of({.sampling = {.repetition_penalty = -1}}), HasSubstr("repetition_penalty"));
  EXPECT_THAT(error_of({.guards = {.max_tokens_per_s = 0}}), HasSubstr("max_tokens_per_s"));
  EXPECT_THAT(error_of({.language = "tlh"}), HasSubstr("tlh"));
  EXPECT_THROW(Request(engine, {.max_waiting_segments = 0}), Error);
  EXPECT_THROW(Request(nullptr, {}), Error);
  EXPECT_THROW(open({.max_batch = -1}), Error);
  EXPECT_THROW(open({.max_rows_between_steps = -1}), Error);
}

TEST(Hotwords, FollowTheContext) {
  EXPECT_EQ(hotword_context("", {}), "");
  EXPECT_EQ(hotword_context("Topic.", {" ", ""}), "Topic.");
  EXPECT_EQ(hotword_context("", {" Hopper\n", "", "Aiken"}), "Vocabulary: Hopper, Aiken");
  EXPECT_EQ(hotword_context("Topic.", {"Grace Hopper"}), "Topic.\nVocabulary: Grace Hopper");
}

}  // namespace
}  // namespace qasr::test
