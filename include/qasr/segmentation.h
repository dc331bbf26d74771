// Cutting recordings of any length into segments for the model, as the samples arrive.
//
//   qasr::AudioStream stream("meeting.mp3");
//   qasr::SpeechSegmenter segmenter;
//   while (stream.read(lanes)) segmenter.push(lanes[0], segments);   // segments are appended as they are complete
//   segmenter.finish(segments);
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "qasr/export.h"
#include "qasr/transcript.h"

namespace qasr {

struct SegmentationOptions {
  /// Leave out what is no speech. false: everything is in some segment.
  bool voice_activity = true;
  /// No segment is longer. At least 1.
  double max_s = 30;
  /// Segments from this length on end at the next pause of 0.25 s; shorter ones need a longer pause, up to max_pause_s
  /// at length 0. Above max_s it counts as max_s.
  double target_s = 20;
  double max_pause_s = 2;
  /// A recording of up to max_s is one segment as it is, or none if there is no speech in it. false: its pauses at the
  /// ends are cut off too, and nothing waits for max_s of audio (live streams).
  bool keep_short_whole = true;
};

struct SpeechSegment {
  std::vector<float> samples;  ///< 16 kHz, in [-1, 1]: divided by their peak if it exceeds 1
  double start_s = 0;
  double speech_s = -1;  ///< how much of it is speech; -1 without voice activity detection
};

/// Segments follow each other without overlap. They end in pauses; where there is none in the last third of max_s (at
/// most 10 s), at the quietest 150 ms there. Memory: the segment that is being collected, and 5 s.
class QASR_API SpeechSegmenter {
 public:
  /// @param start_s  time of the first sample, added to all times
  /// @throws Error kInvalidArgument  an option is out of range
  explicit SpeechSegmenter(const SegmentationOptions& options = {}, double start_s = 0);
  ~SpeechSegmenter();
  SpeechSegmenter(SpeechSegmenter&&) noexcept;
  SpeechSegmenter& operator=(SpeechSegmenter&&) noexcept;

  /// Appends the segments that the samples complete.
  ///   samples  16 kHz mono f32, finite; any number
  void push(std::span<const float> samples, std::vector<SpeechSegment>& out);
  /// Appends the last segment. Nothing may be pushed afterwards.
  void finish(std::vector<SpeechSegment>& out);

  /// What was left out so far, in order; all of it after finish().
  const std::vector<NonSpeech>& non_speech() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr
