// Word times of segments that are transcribed: what stands between the scheduler and an Aligner.
#pragma once

#include <span>

#include "qasr/align.h"
#include "qasr/transcript.h"

namespace qasr {

/// A segment with its text, and what it was transcribed from.
struct SpokenSegment {
  Segment* segment = nullptr;
  std::span<const float> samples;  ///< mono, 16 kHz, from Segment::start_s on
};

/// Sets Segment::words, all segments in one batch. A text is never lost for want of times: what the aligner warns of or
/// fails with becomes a note of kind kWordTimes.
void set_word_times(const Aligner& aligner, std::span<const SpokenSegment> spoken);

}  // namespace qasr
