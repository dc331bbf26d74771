#include "engine/request_state.h"

#include <algorithm>
#include <utility>

#include "engine/attempt.h"
#include "engine/bad_argument.h"
#include "engine/segmenter.h"
#include "qasr/audio.h"
#include "text/asr_output.h"

namespace qasr {
namespace {

RequestSettings checked_settings(const RequestOptions& options) {
  if (options.max_waiting_segments < 1) {
    bad_argument("max_waiting_segments is " + std::to_string(options.max_waiting_segments) + ", expected 1 or more");
  }
  RequestSettings settings = resolve_settings(options.transcribe);
  settings.wants_log_probs = options.keep_tokens;
  return settings;
}

// Of a segment that is kept as long as the recording lasts.
void drop_spare_room(Segment& segment) {
  segment.text.shrink_to_fit();
  segment.raw_text.shrink_to_fit();
  segment.tokens.shrink_to_fit();
  segment.words.shrink_to_fit();
}

}  // namespace

RequestState::RequestState(RequestOptions options, RequestObserver& observer)
    : options_(std::move(options)), settings_(checked_settings(options_)), observer_(observer) {}

Request::Push RequestState::push(PendingSegment&& segment, bool wait) {
  check_samples(segment.samples);
  observer_.check_segment(settings_, segment.samples.size());
  {
    const MutexLock lock(mutex_);
    if (status_ == RequestStatus::kCancelled || status_ == RequestStatus::kFailed) return Request::Push::kEnded;
    if (finished_) bad_argument("push_segment after finish()");
    const auto is_full = [&]() QASR_REQUIRES(mutex_) {
      return waiting_.size() >= static_cast<std::size_t>(options_.max_waiting_segments);
    };
    if (wait && is_full() && observer_.is_scheduler_thread()) {
      bad_argument("push_segment would wait in a callback; use try_push_segment");
    }
    while (wait && status_ == RequestStatus::kRunning && is_full()) changed_.wait(mutex_);
    if (status_ != RequestStatus::kRunning) return Request::Push::kEnded;
    if (is_full()) return Request::Push::kFull;
    segment.index = progress_.n_segments++;
    progress_.audio_s += static_cast<double>(segment.samples.size()) / kSampleRate;
    waiting_.push_back(std::move(segment));
  }
  observer_.on_change();
  return Request::Push::kAdded;
}

void RequestState::finish() {
  {
    const MutexLock lock(mutex_);
    finished_ = true;
  }
  observer_.on_change();
}

void RequestState::cancel() {
  {
    const MutexLock lock(mutex_);
    if (status_ != RequestStatus::kRunning) return;
    status_ = RequestStatus::kCancelled;
    waiting_.clear();
    changed_.notify_all();
  }
  observer_.on_change();
}

void RequestState::wait_for_end() {
  if (observer_.is_scheduler_thread()) return;
  const MutexLock lock(mutex_);
  while (!closed_) changed_.wait(mutex_);
}

Transcript RequestState::take_transcript() {
  const MutexLock lock(mutex_);
  // With a text of its own: copies of a std::runtime_error share theirs between threads, counted where
  // ThreadSanitizer does not look.
  if (error_) throw Error(error_->code(), std::string(error_->what()));
  transcript_.language = join_languages(spoken_);
  return std::exchange(transcript_, {});
}

RequestStatus RequestState::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

RequestProgress RequestState::progress() const {
  const MutexLock lock(mutex_);
  return progress_;
}

bool RequestState::has_waiting() const {
  const MutexLock lock(mutex_);
  return status_ == RequestStatus::kRunning && !waiting_.empty();
}

std::optional<PendingSegment> RequestState::take() {
  const MutexLock lock(mutex_);
  if (status_ != RequestStatus::kRunning || waiting_.empty()) return std::nullopt;
  PendingSegment segment = std::move(waiting_.front());
  waiting_.pop_front();
  changed_.notify_all();
  return segment;
}

bool RequestState::has_ended() const {
  const MutexLock lock(mutex_);
  if (status_ != RequestStatus::kRunning) return true;
  return finished_ && progress_.n_segments_done == progress_.n_segments;
}

void RequestState::fail(const Error& error) {
  const MutexLock lock(mutex_);
  if (status_ != RequestStatus::kRunning) return;
  status_ = RequestStatus::kFailed;
  error_ = error;
  waiting_.clear();
  changed_.notify_all();
}

// A callback that throws makes the request fail; it must not end the scheduler.
template <typename Callback, typename... Arguments>
void RequestState::call(const Callback& callback, const Arguments&... arguments) {
  if (!callback) return;
  const auto error = attempt("a callback threw", [&] {
    const MutexLock lock(observer_.callback_mutex());
    callback(arguments...);
  });
  if (error) fail(*error);
}

void RequestState::show(std::size_t index, std::string_view piece, bool replaces) {
  shown_ = replaces ? std::string(piece) : shown_ + std::string(piece);
  call(options_.on_text, TextUpdate{.segment = index, .piece = piece, .replaces = replaces});
}

void RequestState::deliver_text(std::size_t index, std::string_view piece) {
  if (piece.empty() || !options_.on_text) return;
  if (index == next_index_) {
    show(index, piece, false);
  } else {
    held_[index] += piece;
  }
}

void RequestState::deliver(std::size_t index, double duration_s, Segment segment) {
  done_.emplace(index, Done{duration_s, std::move(segment)});
  while (status() == RequestStatus::kRunning) {
    const auto next = done_.find(next_index_);
    if (next == done_.end()) break;
    Done done = std::move(next->second);
    done_.erase(next);
    deliver_next(std::move(done));
  }
}

void RequestState::deliver_next(Done done) {
  const std::string& text = done.segment.text;
  if (options_.on_text && text != shown_) {
    const bool continues = text.starts_with(shown_);
    show(next_index_, continues ? std::string_view(text).substr(shown_.size()) : std::string_view(text), !continues);
  }
  call(options_.on_segment, next_index_, done.segment);
  RequestProgress progress;
  {
    const MutexLock lock(mutex_);
    ++progress_.n_segments_done;
    progress_.audio_done_s += done.duration_s;
    progress = progress_;
    add_to_transcript(std::move(done.segment));
  }
  call(options_.on_progress, progress);

  ++next_index_;
  shown_.clear();
  const auto held = held_.find(next_index_);
  if (held == held_.end()) return;
  const std::string piece = std::move(held->second);
  held_.erase(held);
  show(next_index_, piece, false);
}

void RequestState::add_to_transcript(Segment segment) {
  transcript_.timings += segment.timings;
  transcript_.duration_s = std::max(transcript_.duration_s, segment.end_s);
  transcript_.truncated = transcript_.truncated || segment.truncated;
  if (!options_.keep_segments) return;
  transcript_.text += segment_separator(transcript_.text, segment.text) + segment.text;
  spoken_.push_back(segment.language);
  drop_spare_room(segment);
  transcript_.segments.push_back(std::move(segment));
}

void RequestState::close() {
  std::optional<Error> error;
  RequestStatus status;
  {
    const MutexLock lock(mutex_);
    if (status_ == RequestStatus::kRunning) status_ = RequestStatus::kDone;
    status = status_;
    error = error_;
  }
  call(options_.on_end, status, error ? &*error : nullptr);
  const MutexLock lock(mutex_);
  waiting_.clear();
  closed_ = true;
  changed_.notify_all();
}

}  // namespace qasr
