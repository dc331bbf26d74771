#include "bench/closed_loop.h"

#include <algorithm>
#include <barrier>
#include <cmath>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "bench/stopwatch.h"
#include "bench/synthetic_speech.h"
#include "qasr/audio.h"
#include "qasr/request.h"

namespace qasr::bench {
namespace {

struct ClipTimes {
  double first_token_ms = 0, clip_ms = 0;
  int n_tokens = 0;
};

class Client {
 public:
  Client(std::shared_ptr<const Engine> engine, const ClosedLoopOptions& options, const std::vector<float>& samples)
      : engine_(std::move(engine)), samples_(samples) {
    n_segments_ = static_cast<int>(std::ceil(options.clip_s / options.segment_s));
    max_tokens_ = std::max(1, static_cast<int>(options.clip_s * options.tokens_per_s / n_segments_));
  }

  ClipTimes transcribe_one() const {
    ClipTimes times;
    const Stopwatch stopwatch;
    std::optional<double> first_ms;  // the scheduler's thread writes; read after wait()
    RequestOptions options{.transcribe = {.language = "English", .max_tokens = max_tokens_},
                           .max_waiting_segments = n_segments_};
    options.transcribe.guards.detect_repetition = false;
    options.on_text = [&](const TextUpdate&) {
      if (!first_ms) first_ms = stopwatch.ms();
    };
    Request request(engine_, std::move(options));
    const std::size_t n_samples = samples_.size() / static_cast<std::size_t>(n_segments_);
    for (int i = 0; i < n_segments_; ++i) {
      const std::size_t first = static_cast<std::size_t>(i) * n_samples;
      request.push_segment(std::span(samples_).subspan(first, n_samples), static_cast<double>(first) / kSampleRate);
    }
    times.n_tokens = request.wait().timings.n_generated_tokens;
    times.clip_ms = stopwatch.ms();
    times.first_token_ms = first_ms.value_or(times.clip_ms);
    return times;
  }

  int n_tokens_asked() const { return n_segments_ * max_tokens_; }

 private:
  std::shared_ptr<const Engine> engine_;
  const std::vector<float>& samples_;
  int n_segments_, max_tokens_;
};

// The value that `share` of all do not exceed.
double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto index = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(index, 1, values.size()) - 1];
}

void check_options(const ClosedLoopOptions& options) {
  const auto require = [](bool holds, const char* message) {
    if (!holds) throw Error(ErrorCode::kInvalidArgument, std::string("closed loop: ") + message);
  };
  require(options.concurrency >= 1 && options.concurrency <= 4096, "1 to 4096 clients");
  require(options.clip_s >= 0.5 && options.clip_s <= 1200, "clips of 0.5 to 1200 seconds");
  require(options.segment_s >= 0.5, "segments of at least 0.5 seconds");
  require(options.tokens_per_s > 0, "more than no tokens per second");
  require(options.rounds >= 1, "at least one round");
}

}  // namespace

ClosedLoopReport run_closed_loop(const std::shared_ptr<const Engine>& engine, const ClosedLoopOptions& options) {
  check_options(options);
  const std::vector<float> samples = synthetic_speech(static_cast<std::size_t>(options.clip_s * kSampleRate));
  const Client client(engine, options, samples);
  std::vector<ClipTimes> clips;
  std::exception_ptr failure;
  std::mutex mutex;
  std::barrier all(options.concurrency + 1);
  const auto loop = [&] {
    const auto attempt = [&](bool counts) {
      try {
        const ClipTimes times = client.transcribe_one();
        const std::lock_guard lock(mutex);
        if (counts) clips.push_back(times);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    };
    for (int round = 0; round < 2; ++round) attempt(false);
    all.arrive_and_wait();
    for (int round = 0; round < options.rounds; ++round) attempt(true);
    all.arrive_and_wait();
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < options.concurrency; ++i) threads.emplace_back(loop);
  all.arrive_and_wait();
  const Stopwatch stopwatch;
  all.arrive_and_wait();
  const double seconds = stopwatch.seconds();
  threads.clear();
  if (failure) std::rethrow_exception(failure);

  ClosedLoopReport report{.n_clips = static_cast<int>(clips.size())};
  std::vector<double> first_ms, clip_ms;
  double n_tokens = 0;
  for (const ClipTimes& clip : clips) {
    first_ms.push_back(clip.first_token_ms);
    clip_ms.push_back(clip.clip_ms);
    n_tokens += clip.n_tokens;
  }
  report.audio_s_per_s = report.n_clips * options.clip_s / seconds;
  report.tokens_per_s = n_tokens / seconds;
  report.first_token_p50_ms = quantile(first_ms, 0.5);
  report.first_token_p95_ms = quantile(first_ms, 0.95);
  report.clip_p50_ms = quantile(clip_ms, 0.5);
  report.clip_p95_ms = quantile(clip_ms, 0.95);
  report.token_share = n_tokens / (static_cast<double>(report.n_clips) * client.n_tokens_asked());
  return report;
}

}  // namespace qasr::bench
