// Request: one recording, call or stream on its way through the engine, segment by segment. Any number of requests
// share one engine; their segments are encoded and decoded together (docs/scheduler.md). Session is the simple form of
// it.
//
//   qasr::Request request(engine, {.transcribe = {.language = "de"}, .on_segment = print});
//   while (cutter.next(segment)) request.push_segment(segment.samples, segment.start_s);   // waits while many are
//   queued request.finish(); qasr::Transcript transcript = request.wait();
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "qasr/engine.h"
#include "qasr/error.h"
#include "qasr/export.h"
#include "qasr/options.h"
#include "qasr/transcript.h"

namespace qasr {

/// Who goes first when requests compete. Requests of equal priority share the machine evenly.
enum class Priority {
  kOffline,  ///< files
  kLive,     ///< somebody is waiting for the words; may displace offline segments, which then go on later
};

/// Text that was decoded. Pieces arrive in the order of the recording: those of a segment follow all of the segment
/// before.
struct TextUpdate {
  std::size_t segment = 0;  ///< in the order of push_segment, from 0
  std::string_view piece;   ///< whole UTF-8 characters to append to the segment's text
  /// What was shown of this segment before is withdrawn: it looped and was transcribed again, or the clean-up of
  /// repetitions changed it. `piece` is the whole text of the segment.
  bool replaces = false;
};

struct RequestProgress {
  std::size_t n_segments = 0;  ///< pushed so far
  std::size_t n_segments_done = 0;
  double audio_s = 0;  ///< seconds pushed so far
  double audio_done_s = 0;
};

enum class RequestStatus {
  kRunning,
  kDone,    ///< all segments are transcribed
  kFailed,  ///< an error ended it; segments that were done before are kept
  kCancelled,
};

struct RequestOptions {
  /// Language, context, sampling, guards, token limit, padding. max_segment_s and on_text are Session's: a Request
  /// takes segments as they are.
  TranscribeOptions transcribe{};
  Priority priority = Priority::kOffline;
  /// push_segment waits while this many segments have not begun: memory stays flat however long the recording is.
  int max_waiting_segments = 4;
  /// Token ids and log-probabilities in Segment::tokens.
  bool keep_tokens = true;
  /// Segments in what wait() returns. false: on_segment is the only place they go, for recordings without end.
  bool keep_segments = true;

  // Callbacks, all optional. They run on the engine's scheduler thread, one at a time per engine, and must be quick:
  // everything else waits. They may call cancel() and try_push_segment() of any Request, and finish(); they must not
  // call what waits (push_segment, wait, Session::transcribe: an error), nor drop the last reference to the engine. If
  // one throws, the request fails with that error.
  std::function<void(const TextUpdate&)> on_text{};
  std::function<void(std::size_t index, const Segment&)> on_segment{};  ///< in order
  std::function<void(const RequestProgress&)> on_progress{};            ///< after each segment
  /// Called once, last: kDone, kFailed (then with the error) or kCancelled.
  std::function<void(RequestStatus, const Error*)> on_end{};
};

/// A handle. Its functions may be called from any thread. Destroying it cancels what has not ended.
class QASR_API Request {
 public:
  /// @throws Error kInvalidArgument  null engine, unknown language, an option out of range (the message names it)
  Request(std::shared_ptr<const Engine> engine, RequestOptions options);
  ~Request();
  Request(Request&&) noexcept;
  Request& operator=(Request&&) noexcept;

  /// Adds the next segment; the samples are copied. Waits while max_waiting_segments have not begun.
  ///
  /// @param samples  mono PCM, f32 in [-1, 1], 16 kHz
  /// @param start_s  where samples[0] lies in the recording
  /// @return false if the request was cancelled or has failed: nothing was added, stop pushing
  /// @throws Error   kInvalidArgument (NaN samples, finish() was called), kInput (the segment needs more positions
  ///                 than the model has), kOutOfMemory (more than kv_cache_bytes hold); the request goes on
  bool push_segment(std::span<const float> samples, double start_s);
  bool push_segment(std::vector<float>&& samples, double start_s);

  enum class Push { kAdded, kFull, kEnded };
  /// The same without waiting.
  Push try_push_segment(std::span<const float> samples, double start_s);

  /// No more segments will come: the request ends when those pushed are done.
  void finish();

  /// Ends the request now. Memory of its segments is free before the next decode step. Nothing happens if it has ended.
  void cancel();

  /// finish(), then waits for the end.
  /// @return what was transcribed; after cancel(), the segments done until then
  /// @throws Error  what made the request fail
  Transcript wait();

  RequestStatus status() const;
  RequestProgress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr
