#include "engine/segmenter.h"

#include <algorithm>
#include <cmath>

#include "audio/energy_split.h"
#include "qasr/audio.h"

namespace qasr {
std::vector<SegmentSpan> split_segments(std::span<const float> samples, double max_segment_s) {
  if (samples.empty()) return {};
  const double limit = std::min(max_segment_s * kSampleRate, static_cast<double>(samples.size()));
  std::vector<SegmentSpan> segments;
  for (const AudioPiece& piece : energy_split(samples, static_cast<std::size_t>(std::lround(limit)))) {
    segments.push_back({piece.offset, piece.length});
  }
  return segments;
}

}  // namespace qasr
