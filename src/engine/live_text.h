// LiveText: the text of a stream as it is shown. Committed tokens become text that only grows; what follows them is the
// partial. Speaks to the StreamState, decides nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/stream_state.h"
#include "engine/text_stream.h"
#include "model/model.h"

namespace qasr {

/// Tokens of the answer for one segment.
struct LiveAnswer {
  std::vector<std::int32_t> ids;  ///< without end token
  std::vector<float> log_probs;   ///< of ids
  bool truncated = false;
  std::string problem;  ///< what the guard said of it; "" if nothing
};

class LiveText {
 public:
  /// Borrows both.
  LiveText(const Model& model, StreamState& state);

  void begin_segment(double start_s);
  /// The first n_committed tokens of the answer are committed, the others are the partial. audio_end_s: what was heard.
  void show(const LiveAnswer& answer, std::size_t n_committed, double audio_end_s);
  /// All of the answer is committed. Emits kSegmentEnd if there is text.
  ///   samples  of the segment
  void end_segment(const LiveAnswer& answer, std::span<const float> samples, double end_s, const Timings& timings);
  /// Withdraws the partial; the segment is over.
  void drop_segment();

  /// Of the segment.
  bool has_committed_text() const { return !segment_text_.empty(); }
  /// The end of the transcript so far, whole words, at most so many bytes.
  std::string tail(std::size_t max_bytes) const;
  void forget_tail() { transcript_tail_.clear(); }

 private:
  void commit(std::string_view text, double audio_end_s);
  void show_partial(std::string_view text, double audio_end_s);
  StreamEvent event(StreamEvent::Kind kind, double start_s, double end_s) const;
  std::string separator(std::string_view text) const;
  std::string language_of(std::span<const std::int32_t> ids) const;
  Segment make_segment(const LiveAnswer& answer, double end_s, const Timings& timings) const;

  const Model& model_;
  StreamState& state_;
  TranscriptStream stream_;      // of committed tokens
  std::size_t n_fed_ = 0;        // tokens of the answer that went into stream_
  std::string segment_text_;     // committed
  std::string partial_;          // as shown last
  std::string transcript_tail_;  // committed text of the stream, its end
  std::string language_;
  double start_s_ = 0, committed_end_s_ = 0;
  std::size_t n_segments_ = 0;
};

}  // namespace qasr
