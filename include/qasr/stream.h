// Stream: live transcription. Samples go in as they are recorded; text comes out that is never taken back.
//
//   qasr::Stream stream(engine, {.language = "de"});
//   while (microphone.read(samples)) {
//     stream.push(samples);
//     while (stream.poll(event)) show(event);
//   }
//   stream.close();
//   while (stream.wait(event)) show(event);   // ends after kEnd
//
// A stream is cut into segments at pauses. Each is transcribed again and again while it grows: complete encoder windows
// and their keys and values are kept, the text so far is verified in one forward pass, and what the commit policy
// trusts becomes committed text. docs/streaming.md explains the algorithm and what it guarantees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/audio.h"
#include "qasr/engine.h"
#include "qasr/error.h"
#include "qasr/export.h"
#include "qasr/options.h"
#include "qasr/request.h"
#include "qasr/transcript.h"

namespace qasr {

/// When text becomes final.
enum class CommitPolicy {
  kAgreement,  ///< what successive hypotheses agree on, and everything at a pause
  kOfficial,   ///< the official package's: all but the last unfixed_tokens, after unfixed_chunks steps of a segment
  kSegment,    ///< at the end of a segment only: its text is exactly what Session::transcribe gives for its samples
};

/// Sets of defaults: the lower the latency, the more is computed and the less the model hears before it decides.
enum class StreamLatency {
  kLow,       ///< a step every 320 ms
  kBalanced,  ///< a step every 500 ms
  kAccurate,  ///< a step every second; three hypotheses must agree
};

struct StreamOptions {
  /// "auto", an English language name or an ISO code.
  std::string language = "auto";
  /// As in TranscribeOptions.
  std::string context{};
  std::vector<std::string> hotwords{};
  /// The end of the text so far is context for the next segment, up to this many bytes (whole words); 0: none. Names
  /// stay spelled alike, but an error may repeat.
  int carry_context_bytes = 0;

  StreamLatency latency = StreamLatency::kBalanced;
  /// Audio between two steps, 100 to 10,000; 0: as `latency` says.
  int chunk_ms = 0;
  /// Share of real time that the steps may compute: where a step costs much, the next one waits longer than chunk_ms,
  /// up to 4 s. 0: no limit. At most 100.
  double max_load = 0.2;
  CommitPolicy commit = CommitPolicy::kAgreement;
  /// kAgreement: hypotheses that must agree, 1 to 8; 0: as `latency` says. Twice as many on words that are less likely
  /// than not, and on what follows them.
  int agreement = 0;
  /// kOfficial: steps of a segment before anything is committed, and tokens at the end that never are.
  int unfixed_chunks = 2, unfixed_tokens = 5;

  /// A pause of this length after speech is an endpoint: the speaker has finished. Everything before it is committed.
  /// 100 to 10,000.
  int endpoint_ms = 700;
  /// true: every endpoint ends its segment (dialogue systems). false: a short segment goes on after an endpoint, since
  /// the model hears more context then; the longer a segment is, the shorter the pause that ends it.
  bool endpoint_ends_segment = false;
  /// No segment is longer; 5 to 120. Where there is no pause, it is cut at the quietest point of its last second.
  double max_segment_s = 24;
  /// false: silence and noise are given to the model too, segments end at max_segment_s only, and there are no
  /// endpoints.
  bool voice_activity = true;

  /// Of what is pushed, 4,000 to 192,000; fixed for the life of the stream. Resampled to 16 kHz if it is another.
  int sample_rate = kSampleRate;
  /// push waits, and try_push takes less, while this much audio has not been looked at; at least 1.
  double max_buffered_s = 120;
  /// Events that wait for the consumer; at least 8. A waiting kPartial is replaced by the next. All others are kept:
  /// when so many wait, the stream stops computing, its audio waits (max_buffered_s), and then push waits. Nothing is
  /// lost.
  int max_events = 1024;
  /// Token ids and log-probabilities in Segment::tokens.
  bool keep_tokens = true;
  /// As TranscribeOptions::aligner: the segment of kSegmentEnd has words with times.
  std::shared_ptr<const Aligner> aligner{};

  /// Called for every event instead of the queue, on the engine's scheduler thread: be quick. It may call try_push,
  /// flush, close, reset and cancel of any stream; not push, wait, nor the destructor of this one. If it throws, the
  /// stream fails.
  std::function<void(const struct StreamEvent&)> on_event{};
};

struct StreamEvent {
  enum class Kind {
    kPartial,  ///< `text`: the newest guess for what follows the committed text of the segment; replaces the one before
    kCommitted,   ///< `text`: to append; it never changes. The partial shown before is void; a new one follows if any
    kSegmentEnd,  ///< `result`: the whole segment. Its text is the joined committed text of the segment
    kEndpoint,    ///< the speaker paused for endpoint_ms; `end_s` is where speech ended. With kAgreement all words
                  ///< before it are committed; a punctuation mark at the end may follow with the segment's end
    kFlushed,     ///< everything pushed before a call of flush() is committed; one per call
    kError,       ///< `error`: the stream has failed; kEnd follows. What was committed stays
    kEnd,         ///< the last event: `status`
  };
  Kind kind{};
  /// Number of the segment, from 0. Segments without text have no kSegmentEnd and no number.
  std::size_t segment = 0;
  /// UTF-8, whole characters. The segment's text is the concatenation of its kCommitted texts.
  std::string text{};
  /// kPartial, kCommitted: what belongs between the text of the segments before and this text: "" inside a segment and
  /// in the first one, " " or "" at the beginning of later ones. The transcript is separator + text of all kCommitted.
  std::string separator{};
  /// English name; "" while unknown.
  std::string language{};
  /// Seconds from the first sample of the stream. kPartial: the segment's begin and the audio that was heard.
  /// kCommitted: the audio during which these words were found (not word times). kSegmentEnd: of the segment.
  double start_s = 0, end_s = 0;
  std::shared_ptr<const Segment> result{};  ///< kSegmentEnd
  std::optional<Error> error{};             ///< kError
  RequestStatus status{};                   ///< kEnd: kDone, kFailed or kCancelled
};

/// Cheap counters of a stream; all since its beginning.
struct StreamProgress {
  double pushed_s = 0;       ///< audio that was pushed
  double transcribed_s = 0;  ///< audio up to here is transcribed or was left out as silence
  std::size_t n_steps = 0;   ///< hypotheses that were computed
  std::size_t n_segments = 0;
  Timings timings;  ///< compute of all steps
  // What the steps computed, and did not take over from the step before.
  std::size_t n_encoded_rows = 0;    ///< audio tokens that went through the encoder
  std::size_t n_prefilled_rows = 0;  ///< rows of prompt, committed text and hypothesis to verify
  std::size_t n_decoded_tokens = 0;  ///< tokens that took a decode step each
};

/// A handle. Its functions may be called from any thread. Destroying it cancels what has not ended.
class QASR_API Stream {
 public:
  /// @throws Error kInvalidArgument  null engine, unknown language, an option out of range (the message names it)
  Stream(std::shared_ptr<const Engine> engine, StreamOptions options);
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;

  /// Adds samples, any number; they are copied. Waits while max_buffered_s has not been looked at.
  ///
  /// @param samples  mono PCM, f32 at sample_rate; values outside [-1, 1] are set to its ends
  /// @return false if the stream was cancelled or has failed, perhaps while this waited: stop pushing
  /// @throws Error   kInvalidArgument: a sample is not finite (nothing was added, the stream goes on); close() was
  ///                 called; or this is a callback
  bool push(std::span<const float> samples);
  /// The same; `sample_rate` must be the stream's.
  /// @throws Error kInvalidArgument  it is not: a stream has one rate
  bool push(std::span<const float> samples, int sample_rate);
  /// The same without waiting. Returns how many samples were taken, from the first on; all of them are lost, and the
  /// number is samples.size(), if the stream was cancelled or has failed.
  std::size_t try_push(std::span<const float> samples);

  /// Everything pushed so far is to be transcribed and committed now, without waiting for a pause; the open segment
  /// ends. Returns at once; kFlushed tells when it is done.
  void flush();
  /// Forgets what is not committed: samples, hypothesis, carried context. The next sample begins a new segment. Times
  /// go on.
  void reset();
  /// No more samples will come: flushes, then the stream ends with kEnd.
  void close();
  /// Ends the stream now: kEnd is the next event after those that wait. What is committed stays; nothing happens if it
  /// has ended.
  void cancel();

  /// The next event if there is one. With on_event there never is.
  bool poll(StreamEvent& event);
  /// Waits for the next event, at most timeout_s if that is not negative.
  /// @return false after kEnd was taken, or after the time
  bool wait(StreamEvent& event, double timeout_s = -1);

  StreamProgress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr
