#include "engine/stream_state.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "engine/attempt.h"
#include "engine/bad_argument.h"

namespace qasr {
namespace {

void require_range(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return;
  const auto number = [](double x) {
    std::string text = std::to_string(x);
    text.erase(text.find_last_not_of('0') + 1);
    return text.back() == '.' ? text.substr(0, text.size() - 1) : text;
  };
  bad_argument(std::string(name) + " is " + number(value) + ", expected " + number(least) + " to " + number(most));
}

struct LatencyDefaults {
  int chunk_ms, agreement;
};

LatencyDefaults defaults_of(StreamLatency latency) {
  switch (latency) {
    case StreamLatency::kLow:
      return {320, 2};
    case StreamLatency::kBalanced:
      return {500, 2};
    case StreamLatency::kAccurate:
      return {1000, 3};
  }
  bad_argument("latency is " + std::to_string(static_cast<int>(latency)) + ", expected one of StreamLatency");
}

}  // namespace

StreamSettings resolve_stream_settings(const StreamOptions& options, double scripted_tokens_per_s) {
  const LatencyDefaults defaults = defaults_of(options.latency);
  if (options.chunk_ms != 0) require_range("chunk_ms", options.chunk_ms, 100, 10000);
  if (options.agreement != 0) require_range("agreement", options.agreement, 1, 8);
  require_range("unfixed_chunks", options.unfixed_chunks, 0, 1000);
  require_range("unfixed_tokens", options.unfixed_tokens, 0, 1000);
  require_range("endpoint_ms", options.endpoint_ms, 100, 10000);
  require_range("max_segment_s", options.max_segment_s, 5, 120);
  require_range("sample_rate", options.sample_rate, 4000, 192000);
  require_range("max_load", options.max_load, 0, 100);
  require_range("max_buffered_s", options.max_buffered_s, 1, 86400);
  require_range("max_events", options.max_events, 8, 1e9);
  require_range("carry_context_bytes", options.carry_context_bytes, 0, 100000);
  StreamSettings settings{
      .request =
          resolve_settings({.language = options.language, .context = options.context, .hotwords = options.hotwords}),
      .commit = {.policy = options.commit,
                 .agreement = options.agreement > 0 ? options.agreement : defaults.agreement,
                 .unfixed_chunks = options.unfixed_chunks,
                 .unfixed_tokens = options.unfixed_tokens},
      .segmentation = {.voice_activity = options.voice_activity,
                       .max_s = options.max_segment_s,
                       .endpoint_ms = options.endpoint_ms,
                       .endpoint_ends_segment = options.endpoint_ends_segment},
      .max_buffered_samples = static_cast<std::size_t>(options.max_buffered_s * options.sample_rate),
      .max_events = static_cast<std::size_t>(options.max_events),
      .carry_context_bytes = static_cast<std::size_t>(options.carry_context_bytes),
      .max_load = options.max_load,
      .scripted_tokens_per_s = scripted_tokens_per_s,
      .sample_rate = options.sample_rate};
  const int chunk_ms = options.chunk_ms > 0 ? options.chunk_ms : defaults.chunk_ms;
  settings.chunk_samples = static_cast<std::size_t>(chunk_ms) * kSampleRate / 1000;
  settings.request.wants_log_probs = options.keep_tokens;
  settings.request.aligner = options.aligner;
  return settings;
}

StreamState::StreamState(StreamOptions options, RequestObserver& observer, double scripted_tokens_per_s)
    : options_(std::move(options)),
      settings_(resolve_stream_settings(options_, scripted_tokens_per_s)),
      observer_(observer) {}

std::size_t StreamState::push(std::span<const float> samples, bool wait) {
  check_samples(samples);
  if (wait && observer_.is_scheduler_thread()) bad_argument("Stream::push may wait in a callback; use try_push");
  std::size_t n_taken = 0;
  do {
    {
      const MutexLock lock(mutex_);
      if (input_closed_ && status_ == RequestStatus::kRunning) bad_argument("push after close()");
      const auto is_full = [&]() QASR_REQUIRES(mutex_) { return n_buffered_ >= settings_.max_buffered_samples; };
      while (wait && status_ == RequestStatus::kRunning && is_full()) changed_.wait(mutex_);
      if (status_ != RequestStatus::kRunning) return samples.size();
      if (is_full()) return n_taken;
      const std::size_t n = std::min(samples.size() - n_taken, settings_.max_buffered_samples - n_buffered_);
      if (inputs_.empty() || inputs_.back().kind != StreamInput::Kind::kSamples) {
        inputs_.push_back({.kind = StreamInput::Kind::kSamples});
      }
      std::vector<float>& queue = inputs_.back().samples;
      for (const float x : samples.subspan(n_taken, n)) queue.push_back(std::clamp(x, -1.0F, 1.0F));
      n_buffered_ += n;
      idle_ = false;
      n_taken += n;
      progress_.pushed_s += static_cast<double>(n) / settings_.sample_rate;
    }
    observer_.on_change();
  } while (wait && n_taken < samples.size());
  return n_taken;
}

void StreamState::command(StreamInput::Kind kind) {
  {
    const MutexLock lock(mutex_);
    if (status_ != RequestStatus::kRunning || input_closed_) return;
    input_closed_ = kind == StreamInput::Kind::kClose;
    idle_ = false;
    inputs_.push_back({.kind = kind});
  }
  observer_.on_change();
}

void StreamState::reset() {
  {
    const MutexLock lock(mutex_);
    if (status_ != RequestStatus::kRunning || input_closed_) return;
    std::erase_if(inputs_, [](const StreamInput& input) { return input.kind == StreamInput::Kind::kSamples; });
    inputs_.push_back({.kind = StreamInput::Kind::kReset, .n_dropped = n_buffered_});
    n_buffered_ = n_taken_ = 0;
    changed_.notify_all();
  }
  observer_.on_change();
}

void StreamState::cancel() {
  {
    const MutexLock lock(mutex_);
    if (status_ != RequestStatus::kRunning) return;
    status_ = RequestStatus::kCancelled;
    inputs_.clear();
    changed_.notify_all();
  }
  observer_.on_change();
}

bool StreamState::is_running() const {
  const MutexLock lock(mutex_);
  return status_ == RequestStatus::kRunning;
}

bool StreamState::pop_event(StreamEvent& event) {
  if (events_.empty()) return false;
  event = std::move(events_.front());
  events_.pop_front();
  return true;
}

void StreamState::after_pop(bool was_congested) {
  if (was_congested) observer_.on_change();
}

bool StreamState::poll(StreamEvent& event) {
  bool was_congested = false, found = false;
  {
    const MutexLock lock(mutex_);
    was_congested = events_.size() == settings_.max_events;
    found = pop_event(event);
  }
  after_pop(was_congested);
  return found;
}

bool StreamState::wait(StreamEvent& event, double timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto limit = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(std::clamp(timeout_s, 0.0, 1e6)));
  bool was_congested = false, found = false;
  {
    const MutexLock lock(mutex_);
    while (events_.empty() && !ended_) {
      if (timeout_s < 0) {
        changed_.wait(mutex_);
      } else if (!changed_.wait_until(mutex_, limit)) {
        break;
      }
    }
    was_congested = events_.size() == settings_.max_events;
    found = pop_event(event);
  }
  after_pop(was_congested);
  return found;
}

void StreamState::wait_for_end() {
  if (observer_.is_scheduler_thread()) return;
  const MutexLock lock(mutex_);
  while (!ended_) changed_.wait(mutex_);
}

StreamProgress StreamState::progress() const {
  const MutexLock lock(mutex_);
  return progress_;
}

std::optional<StreamInput> StreamState::take(std::size_t max_samples) {
  const MutexLock lock(mutex_);
  if (status_ != RequestStatus::kRunning || inputs_.empty()) return std::nullopt;
  if (events_.size() >= settings_.max_events) return std::nullopt;
  StreamInput& front = inputs_.front();
  StreamInput input{.kind = front.kind, .n_dropped = front.n_dropped};
  if (front.kind == StreamInput::Kind::kSamples) {
    const auto begin = front.samples.begin() + static_cast<std::ptrdiff_t>(n_taken_);
    const std::size_t n = std::min(max_samples, front.samples.size() - n_taken_);
    input.samples.assign(begin, begin + static_cast<std::ptrdiff_t>(n));
    n_taken_ += n;
  }
  if (n_taken_ == front.samples.size()) {
    inputs_.pop_front();
    n_taken_ = 0;
  } else if (2 * n_taken_ >= front.samples.size()) {  // not for every piece: it moves what is left
    front.samples.erase(front.samples.begin(), front.samples.begin() + static_cast<std::ptrdiff_t>(n_taken_));
    n_taken_ = 0;
  }
  n_buffered_ -= input.samples.size();
  changed_.notify_all();
  return input;
}

double StreamState::buffered_s() const {
  const MutexLock lock(mutex_);
  return static_cast<double>(n_buffered_) / settings_.sample_rate;
}

bool StreamState::has_room() const {
  const MutexLock lock(mutex_);
  return events_.size() < settings_.max_events;
}

bool StreamState::is_idle() const {
  const MutexLock lock(mutex_);
  return idle_ || status_ != RequestStatus::kRunning;
}

void StreamState::set_idle() {
  const MutexLock lock(mutex_);
  idle_ = inputs_.empty();
}

bool StreamState::is_reset_pending() const {
  const MutexLock lock(mutex_);
  return std::any_of(inputs_.begin(), inputs_.end(),
                     [](const StreamInput& input) { return input.kind == StreamInput::Kind::kReset; });
}

// A partial replaces the one that waits, wherever it is: what was committed since belongs before the new one.
void StreamState::queue_event(StreamEvent event) {
  if (event.kind == StreamEvent::Kind::kPartial) {
    std::erase_if(events_, [](const StreamEvent& other) { return other.kind == StreamEvent::Kind::kPartial; });
  }
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void StreamState::emit(StreamEvent event) {
  if (!options_.on_event) {
    const MutexLock lock(mutex_);
    queue_event(std::move(event));
    return;
  }
  const auto error = attempt("a callback threw", [&] {
    const MutexLock lock(observer_.callback_mutex());
    options_.on_event(event);
  });
  if (error) fail(*error);
}

void StreamState::add_step(const DecodeRun& run) {
  const MutexLock lock(mutex_);
  ++progress_.n_steps;
  progress_.timings += run.timings;
  progress_.n_encoded_rows += run.n_encoded_rows;
  progress_.n_prefilled_rows += run.n_prefilled_rows;
  progress_.n_decoded_tokens += run.n_decode_steps;
}

void StreamState::add_segment() {
  const MutexLock lock(mutex_);
  ++progress_.n_segments;
}

void StreamState::set_transcribed(double seconds) {
  const MutexLock lock(mutex_);
  progress_.transcribed_s = std::max(progress_.transcribed_s, seconds);
}

void StreamState::fail(const Error& error) {
  const MutexLock lock(mutex_);
  if (status_ != RequestStatus::kRunning) return;
  status_ = RequestStatus::kFailed;
  error_ = error;
  inputs_.clear();
  changed_.notify_all();
}

void StreamState::finish() {
  const MutexLock lock(mutex_);
  if (status_ == RequestStatus::kRunning) status_ = RequestStatus::kDone;
}

bool StreamState::has_ended() const { return !is_running(); }

void StreamState::end() {
  StreamEvent last{.kind = StreamEvent::Kind::kEnd};
  std::optional<Error> error;
  {
    const MutexLock lock(mutex_);
    last.status = status_;
    error = error_;
  }
  if (error) emit({.kind = StreamEvent::Kind::kError, .error = *error});
  emit(std::move(last));
  const MutexLock lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace qasr
