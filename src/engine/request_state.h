// RequestState: what a Request's handle and the scheduler share. The handle's threads push segments and wait; the
// scheduler's thread takes segments, delivers results in the order of the recording and ends the request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/request_settings.h"
#include "qasr/request.h"

namespace qasr {

/// A segment that waits for its turn.
struct PendingSegment {
  std::size_t index = 0;
  std::vector<float> owned;  ///< empty: `samples` are the caller's
  std::span<const float> samples;
  double start_s = 0;
};

/// The scheduler, as requests see it.
class RequestObserver {
 public:
  /// Something was pushed, finished or cancelled. Any thread.
  virtual void on_change() = 0;
  /// Throws kInput or kOutOfMemory if a segment cannot be transcribed. Any thread.
  virtual void check_segment(const RequestSettings& settings, std::size_t n_samples) = 0;
  /// Whether the caller is a callback: it must not wait for the scheduler. Any thread.
  virtual bool is_scheduler_thread() const = 0;
  /// Held while a callback runs.
  virtual Mutex& callback_mutex() = 0;

 protected:
  ~RequestObserver() = default;
};

class RequestState {
 public:
  RequestState(RequestOptions options, RequestObserver& observer);

  // ---- the handle's side: any thread
  /// Takes over the samples of `segment` (its index is set here).
  /// @param wait  until there is room, instead of returning kFull
  Request::Push push(PendingSegment&& segment, bool wait) QASR_EXCLUDES(mutex_);
  void finish() QASR_EXCLUDES(mutex_);
  void cancel() QASR_EXCLUDES(mutex_);
  /// Waits until the last callback has returned. In a callback it returns at once.
  void wait_for_end() QASR_EXCLUDES(mutex_);
  /// After the end: the transcript, or throws what made the request fail.
  Transcript take_transcript() QASR_EXCLUDES(mutex_);
  RequestStatus status() const QASR_EXCLUDES(mutex_);
  RequestProgress progress() const QASR_EXCLUDES(mutex_);

  // ---- the scheduler's side: its thread only
  const RequestSettings& settings() const { return settings_; }
  Priority priority() const { return options_.priority; }
  bool wants_text() const { return static_cast<bool>(options_.on_text); }
  bool has_waiting() const QASR_EXCLUDES(mutex_);
  std::optional<PendingSegment> take() QASR_EXCLUDES(mutex_);
  /// More text of a segment, perhaps held back until the segments before it are done.
  void deliver_text(std::size_t index, std::string_view piece);
  void deliver(std::size_t index, double duration_s, Segment segment);
  void fail(const Error& error) QASR_EXCLUDES(mutex_);
  /// True once there is nothing left to do; then close() tells the caller.
  bool has_ended() const QASR_EXCLUDES(mutex_);
  void close() QASR_EXCLUDES(mutex_);

  int n_active = 0;               ///< segments under way; the scheduler counts
  std::uint64_t last_served = 0;  ///< when the scheduler last took a segment

 private:
  struct Done {
    double duration_s = 0;
    Segment segment;
  };
  template <typename Callback, typename... Arguments>
  void call(const Callback& callback, const Arguments&... arguments);
  void show(std::size_t index, std::string_view piece, bool replaces);
  void deliver_next(Done done);
  void add_to_transcript(Segment segment) QASR_REQUIRES(mutex_);

  const RequestOptions options_;
  const RequestSettings settings_;
  RequestObserver& observer_;

  // The scheduler's thread only.
  std::size_t next_index_ = 0;               // whose text is shown now
  std::map<std::size_t, std::string> held_;  // text of later segments
  std::map<std::size_t, Done> done_;         // later segments that are done already
  std::string shown_;                        // text shown of segment next_index_

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<PendingSegment> waiting_ QASR_GUARDED_BY(mutex_);
  RequestStatus status_ QASR_GUARDED_BY(mutex_) = RequestStatus::kRunning;
  bool finished_ QASR_GUARDED_BY(mutex_) = false;  // no more segments will come
  bool closed_ QASR_GUARDED_BY(mutex_) = false;    // the last callback has returned
  RequestProgress progress_ QASR_GUARDED_BY(mutex_);
  Transcript transcript_ QASR_GUARDED_BY(mutex_);
  std::vector<std::string> spoken_ QASR_GUARDED_BY(mutex_);
  std::optional<Error> error_ QASR_GUARDED_BY(mutex_);
};

}  // namespace qasr
