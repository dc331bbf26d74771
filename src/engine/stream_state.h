// StreamState: what a Stream's handle and the scheduler share. The handle's threads push samples and take events; the
// scheduler's thread takes samples and emits events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "engine/commit_policy.h"
#include "engine/decode_run.h"
#include "engine/live_segmenter.h"
#include "engine/request_settings.h"
#include "engine/request_state.h"
#include "qasr/stream.h"

namespace qasr {

/// StreamOptions, checked, with the defaults filled in.
struct StreamSettings {
  RequestSettings request;
  CommitSettings commit;
  LiveSegmentation segmentation;
  std::size_t chunk_samples = 0;     ///< at 16 kHz
  std::size_t max_buffered_samples;  ///< at sample_rate
  std::size_t max_events = 0;
  std::size_t carry_context_bytes = 0;
  double max_load = 0;
  double scripted_tokens_per_s = 0;  ///< DecodeRun::scripted_tokens per second of audio
  int sample_rate = kSampleRate;
};

/// @throws Error kInvalidArgument  the message names the option, what it is and what was expected
StreamSettings resolve_stream_settings(const StreamOptions& options, double scripted_tokens_per_s = 0);

/// What the scheduler takes out of a stream's queue.
struct StreamInput {
  enum class Kind { kSamples, kFlush, kReset, kClose };
  Kind kind{};
  std::vector<float> samples;   ///< kSamples: at sample_rate, in [-1, 1]
  std::uint64_t n_dropped = 0;  ///< kReset: samples that were dropped before it
};

class StreamState {
 public:
  /// @param scripted_tokens_per_s  see StreamSettings; for measuring
  StreamState(StreamOptions options, RequestObserver& observer, double scripted_tokens_per_s = 0);

  // ---- the handle's side: any thread
  /// @return samples taken, from the first on; all of them if the stream has ended
  std::size_t push(std::span<const float> samples, bool wait) QASR_EXCLUDES(mutex_);
  void flush() QASR_EXCLUDES(mutex_) { command(StreamInput::Kind::kFlush); }
  void reset() QASR_EXCLUDES(mutex_);
  void close() QASR_EXCLUDES(mutex_) { command(StreamInput::Kind::kClose); }
  void cancel() QASR_EXCLUDES(mutex_);
  bool is_running() const QASR_EXCLUDES(mutex_);
  bool poll(StreamEvent& event) QASR_EXCLUDES(mutex_);
  bool wait(StreamEvent& event, double timeout_s) QASR_EXCLUDES(mutex_);
  /// Waits until the last event was emitted. In a callback it returns at once.
  void wait_for_end() QASR_EXCLUDES(mutex_);
  StreamProgress progress() const QASR_EXCLUDES(mutex_);
  /// Everything that was pushed has been looked at, and no step is due or under way. For tests.
  bool is_idle() const QASR_EXCLUDES(mutex_);

  // ---- the scheduler's side: its thread only
  const StreamSettings& settings() const { return settings_; }
  /// The next input; of samples at most max_samples. Empty if there is none, or so many events wait that there must be
  /// no more.
  std::optional<StreamInput> take(std::size_t max_samples) QASR_EXCLUDES(mutex_);
  /// Seconds of audio that wait to be taken.
  double buffered_s() const QASR_EXCLUDES(mutex_);
  /// Fewer events wait than max_events.
  bool has_room() const QASR_EXCLUDES(mutex_);
  /// A reset waits: what is being computed is not wanted.
  bool is_reset_pending() const QASR_EXCLUDES(mutex_);
  void emit(StreamEvent event) QASR_EXCLUDES(mutex_);
  /// No step is due: the stream is idle unless input has come.
  void set_idle() QASR_EXCLUDES(mutex_);
  void add_step(const DecodeRun& run) QASR_EXCLUDES(mutex_);
  void add_segment() QASR_EXCLUDES(mutex_);
  void set_transcribed(double seconds) QASR_EXCLUDES(mutex_);
  void fail(const Error& error) QASR_EXCLUDES(mutex_);
  /// All was said that will be: close() was handled.
  void finish() QASR_EXCLUDES(mutex_);
  bool has_ended() const QASR_EXCLUDES(mutex_);
  /// Emits the last events.
  void end() QASR_EXCLUDES(mutex_);

 private:
  void command(StreamInput::Kind kind) QASR_EXCLUDES(mutex_);
  void queue_event(StreamEvent event) QASR_REQUIRES(mutex_);
  bool pop_event(StreamEvent& event) QASR_REQUIRES(mutex_);
  void after_pop(bool was_congested) QASR_EXCLUDES(mutex_);

  const StreamOptions options_;
  const StreamSettings settings_;
  RequestObserver& observer_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<StreamInput> inputs_ QASR_GUARDED_BY(mutex_);
  std::size_t n_buffered_ QASR_GUARDED_BY(mutex_) = 0;  // samples in inputs_ that are not taken
  std::size_t n_taken_ QASR_GUARDED_BY(mutex_) = 0;     // of the first input's samples; erased now and then
  std::deque<StreamEvent> events_ QASR_GUARDED_BY(mutex_);
  RequestStatus status_ QASR_GUARDED_BY(mutex_) = RequestStatus::kRunning;
  bool input_closed_ QASR_GUARDED_BY(mutex_) = false;
  bool idle_ QASR_GUARDED_BY(mutex_) = true;
  bool ended_ QASR_GUARDED_BY(mutex_) = false;  // the last event was emitted
  std::optional<Error> error_ QASR_GUARDED_BY(mutex_);
  StreamProgress progress_ QASR_GUARDED_BY(mutex_);
};

}  // namespace qasr
