#include "bench/stream_bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "engine/engine_impl.h"
#include "engine/stream_state.h"

namespace qasr::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kPushSamples = 1600;
constexpr double kPaceTick_s = 0.1;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double rss_mb() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4096 / 1e6;
}

double compute_s(const Timings& t) { return (t.preprocessing_ms + t.audio_encoding_ms + t.text_generation_ms) / 1000; }

// What one stream says, endlessly, and which words were in it so far.
class Speaker {
 public:
  Speaker(const StreamBenchOptions& options, std::size_t first) : options_(options), next_(first) {}

  void next(std::size_t n_samples, std::vector<float>& out) {
    while (waiting_.size() - used_ < n_samples) add_recording();
    const auto begin = waiting_.begin() + static_cast<std::ptrdiff_t>(used_);
    out.assign(begin, begin + static_cast<std::ptrdiff_t>(n_samples));
    used_ += n_samples;
    if (used_ > 60 * kSampleRate) {
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(used_));
      used_ = 0;
    }
  }
  const std::vector<std::string>& words() const { return words_; }
  const std::vector<double>& word_ends_s() const { return word_ends_s_; }

 private:
  void add_recording() {
    const KnownRecording& recording = options_.recordings[next_++ % options_.recordings.size()];
    const double begin_s = static_cast<double>(n_made_) / kSampleRate;
    words_.insert(words_.end(), recording.words.begin(), recording.words.end());
    for (const double end_s : recording.word_ends_s) word_ends_s_.push_back(begin_s + end_s);
    waiting_.insert(waiting_.end(), recording.samples.begin(), recording.samples.end());
    const auto n_pause = static_cast<std::size_t>(options_.pause_s * kSampleRate);
    for (std::size_t n = 0; n < n_pause; ++n) {
      seed_ = seed_ * 1664525U + 1013904223U;
      waiting_.push_back(1e-4F * static_cast<float>(static_cast<double>(seed_ >> 8) / 8388608.0 - 1));
    }
    n_made_ += recording.samples.size() + n_pause;
  }

  const StreamBenchOptions& options_;
  std::size_t next_, used_ = 0, n_made_ = 0;
  std::uint32_t seed_ = 1;
  std::vector<float> waiting_;
  std::vector<std::string> words_;
  std::vector<double> word_ends_s_;
};

// One stream: pushes on a thread of its own, notes when words come.
class MeasuredStream {
 public:
  MeasuredStream(const Engine& engine, const StreamBenchOptions& options, std::size_t index, Clock::time_point start)
      : options_(options), start_(start), speaker_(options, index) {
    StreamOptions stream = options.stream;
    stream.on_event = [this](const StreamEvent& event) { on_event(event); };
    Scheduler& scheduler = engine.impl().schedulers.least_loaded();
    state_ = std::make_shared<StreamState>(stream, scheduler, options.tokens_per_s);
    scheduler.add(state_);
    thread_ = std::thread([this] { push_all(); });
  }
  ~MeasuredStream() {
    thread_.join();
    state_->cancel();
    state_->wait_for_end();
  }
  MeasuredStream(const MeasuredStream&) = delete;

  StreamProgress progress() const { return state_->progress(); }
  bool is_pushed() const { return pushed_; }
  void wait() { state_->wait_for_end(); }
  void add_to(StreamBenchReport& report, std::vector<double>& first, std::vector<double>& delays) const;

 private:
  void push_all();
  void on_event(const StreamEvent& event);

  const StreamBenchOptions& options_;
  Clock::time_point start_;
  Speaker speaker_;
  std::shared_ptr<StreamState> state_;
  std::thread thread_;
  std::atomic<bool> pushed_ = false;

  // The scheduler's thread only, until the end.
  std::vector<std::string> heard_;
  std::vector<double> heard_s_;  // when each was committed
  std::string rest_;             // of a word that may go on
  double first_s_ = -1;
  std::optional<Error> error_;
};

void MeasuredStream::push_all() {
  std::vector<float> samples;
  const auto n_pushes = static_cast<std::size_t>(std::ceil(options_.audio_s / kPaceTick_s));
  for (std::size_t n = 0; n < n_pushes; ++n) {
    speaker_.next(kPushSamples, samples);
    if (options_.paced) {
      std::this_thread::sleep_until(start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                                                 static_cast<double>(n + 1) * kPaceTick_s)));
    }
    state_->push(samples, true);
    while (!options_.paced && !state_->is_idle()) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  pushed_ = true;
  state_->close();
}

void MeasuredStream::on_event(const StreamEvent& event) {
  const double now_s = since(start_);
  using Kind = StreamEvent::Kind;
  if (event.kind == Kind::kError) error_ = event.error;
  if ((event.kind == Kind::kPartial || event.kind == Kind::kCommitted) && !event.text.empty() && first_s_ < 0) {
    first_s_ = now_s;
  }
  if (event.kind == Kind::kCommitted) {
    rest_ += event.separator + event.text;
    // Whole words are committed: the last one is complete too.
    for (std::string& word : plain_words(rest_)) {
      heard_.push_back(std::move(word));
      heard_s_.push_back(now_s);
    }
    rest_.clear();
  }
}

void MeasuredStream::add_to(StreamBenchReport& report, std::vector<double>& first, std::vector<double>& delays) const {
  if (error_) throw Error(*error_);
  const StreamProgress progress = state_->progress();
  report.n_steps += progress.n_steps;
  report.n_segments += progress.n_segments;
  report.timings += progress.timings;
  const double all_s = report.n_streams * report.audio_s;
  report.encoded_rows_per_s += static_cast<double>(progress.n_encoded_rows) / all_s;
  report.prefilled_rows_per_s += static_cast<double>(progress.n_prefilled_rows) / all_s;
  report.decoded_tokens_per_s += static_cast<double>(progress.n_decoded_tokens) / all_s;
  if (first_s_ >= 0) first.push_back(first_s_);
  const auto pairs = equal_words(speaker_.words(), heard_);
  report.n_words += speaker_.words().size();
  report.n_words_found += pairs.size();
  if (speaker_.word_ends_s().size() != speaker_.words().size()) return;
  for (const auto& [spoken, heard] : pairs) delays.push_back(heard_s_[heard] - speaker_.word_ends_s()[spoken]);
}

struct Sample {
  double audio_s = 0, compute_s = 0;
};

Sample sum_of(const std::vector<std::unique_ptr<MeasuredStream>>& streams) {
  Sample sum;
  for (const auto& stream : streams) {
    const StreamProgress progress = stream->progress();
    sum.audio_s += progress.transcribed_s;
    sum.compute_s += compute_s(progress.timings);
  }
  return sum;
}

double per_audio_s(const Sample& from, const Sample& to) {
  return to.audio_s > from.audio_s ? (to.compute_s - from.compute_s) / (to.audio_s - from.audio_s) : 0;
}

}  // namespace

Percentiles percentiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
  };
  return {values.size(), at(0.50), at(0.95), at(0.99)};
}

StreamBenchReport run_stream_benchmark(const std::shared_ptr<const Engine>& engine, const StreamBenchOptions& options) {
  QASR_CHECK(!options.recordings.empty() && options.n_streams > 0);
  StreamBenchReport report;
  report.n_streams = options.n_streams;
  report.audio_s = options.audio_s;
  report.paced = options.paced;
  report.chunk_ms = static_cast<int>(resolve_stream_settings(options.stream).chunk_samples * 1000 / kSampleRate);
  const Clock::time_point start = Clock::now();
  std::vector<std::unique_ptr<MeasuredStream>> streams;
  for (int index = 0; index < options.n_streams; ++index) {
    streams.push_back(std::make_unique<MeasuredStream>(*engine, options, static_cast<std::size_t>(index) * 7, start));
  }
  // Progress is looked at from outside, at times of the audio.
  const double minute = std::min(60.0, options.audio_s / 2) * options.n_streams;
  const double early_s = std::min(120.0, options.audio_s / 4) * options.n_streams;
  const double last_s = options.audio_s * options.n_streams - minute;
  Sample first_minute, before_last;
  const auto all_pushed = [&] {
    return std::all_of(streams.begin(), streams.end(), [](const auto& stream) { return stream->is_pushed(); });
  };
  while (!all_pushed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const Sample now = sum_of(streams);
    if (first_minute.audio_s == 0 && now.audio_s >= minute) first_minute = now;
    if (report.early_rss_mb == 0 && now.audio_s >= early_s) report.early_rss_mb = rss_mb();
    if (now.audio_s < last_s) before_last = now;
  }
  const Clock::time_point pushed = Clock::now();
  for (const auto& stream : streams) stream->wait();
  report.tail_s = since(pushed);
  report.wall_s = since(start);
  report.late_rss_mb = rss_mb();
  const Sample all = sum_of(streams);
  report.compute_per_audio_s = per_audio_s({}, all);
  report.first_minute_per_audio_s = per_audio_s({}, first_minute.audio_s > 0 ? first_minute : all);
  report.last_minute_per_audio_s = per_audio_s(before_last, all);
  std::vector<double> first, delays;
  for (const auto& stream : streams) stream->add_to(report, first, delays);
  report.first_partial_s = percentiles(first);
  report.commit_delay_s = percentiles(delays);
  return report;
}

}  // namespace qasr::bench
