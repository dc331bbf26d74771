// Session: cuts the recording, hands the segments to the scheduler and calls the caller back on its own thread. Hop 2
// of the walk.
#include <deque>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "engine/engine_impl.h"
#include "engine/request_state.h"
#include "engine/scheduler_group.h"
#include "engine/segmenter.h"
#include "qasr/engine.h"

namespace qasr {
namespace {

// Text on its way from the scheduler's thread to the caller's.
class TextQueue {
 public:
  struct Entry {
    std::size_t segment = 0;
    std::string piece;
  };
  void push(Entry entry) QASR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    entries_.push_back(std::move(entry));
    changed_.notify_all();
  }
  void close() QASR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  /// False when nothing more will come.
  bool pop(Entry& entry) QASR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (entries_.empty() && !closed_) changed_.wait(mutex_);
    if (entries_.empty()) return false;
    entry = std::move(entries_.front());
    entries_.pop_front();
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<Entry> entries_ QASR_GUARDED_BY(mutex_);
  bool closed_ QASR_GUARDED_BY(mutex_) = false;
};

// A request whose samples are borrowed, so that long recordings are not copied.
class BorrowingRequest {
 public:
  BorrowingRequest(SchedulerGroup& schedulers, RequestOptions options) {
    if (schedulers.is_scheduler_thread()) {
      throw Error(ErrorCode::kInvalidArgument, "Session::transcribe in a callback would wait for itself");
    }
    state_ = schedulers.submit(std::move(options));
  }
  ~BorrowingRequest() {
    state_->cancel();
    state_->wait_for_end();
  }
  BorrowingRequest(const BorrowingRequest&) = delete;
  RequestState& operator*() const { return *state_; }
  RequestState* operator->() const { return state_.get(); }

 private:
  std::shared_ptr<RequestState> state_;
};

// Passes text on with what stands between segments. Text that was withdrawn after it was shown stays shown.
void forward_text(TextQueue& queue, const std::function<void(std::string_view)>& on_text) {
  std::string shown;
  std::size_t current = 0;
  TextQueue::Entry entry;
  while (queue.pop(entry)) {
    const bool begins = entry.segment != current || shown.empty();
    current = entry.segment;
    const std::string piece = (begins ? segment_separator(shown, entry.piece) : "") + entry.piece;
    shown += piece;
    on_text(piece);
  }
}

}  // namespace

struct Session::Impl {
  std::shared_ptr<const Engine> engine;
};

Session::Session(std::shared_ptr<const Engine> engine) : impl_(std::make_unique<Impl>()) {
  if (engine == nullptr) throw Error(ErrorCode::kInvalidArgument, "Session: the engine is null");
  impl_->engine = std::move(engine);
}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Transcript Session::transcribe(std::span<const float> samples, const TranscribeOptions& options) {
  const Engine::Impl& engine = impl_->engine->impl();
  check_samples(samples);
  const std::vector<SegmentSpan> segments =
      split_segments(samples, resolve_max_segment_s(options.max_segment_s, engine.model->config()));

  TextQueue queue;
  RequestOptions request_options{.transcribe = options,
                                 .max_waiting_segments = std::max(1, static_cast<int>(segments.size()))};
  if (segments.size() > 1) request_options.transcribe.pad_short_clips = true;  // the official package pads cut pieces
  request_options.on_end = [&](RequestStatus, const Error*) { queue.close(); };
  if (options.on_text) {
    request_options.on_text = [&](const TextUpdate& update) {
      if (!update.replaces) queue.push({update.segment, std::string(update.piece)});
    };
  }
  BorrowingRequest request(engine.schedulers, std::move(request_options));
  for (const SegmentSpan& span : segments) {
    request->push({.samples = samples.subspan(span.first_sample, span.n_samples),
                   .start_s = static_cast<double>(span.first_sample) / kSampleRate},
                  false);
  }
  request->finish();
  if (options.on_text) forward_text(queue, options.on_text);
  request->wait_for_end();
  Transcript transcript = request->take_transcript();
  transcript.duration_s = static_cast<double>(samples.size()) / kSampleRate;
  return transcript;
}

}  // namespace qasr
