// Cutting a recording into segments the model sees one at a time. Hop 3 of the walk.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "qasr/formats.h"  // segment_separator

namespace qasr {

struct SegmentSpan {
  std::size_t first_sample = 0;
  std::size_t n_samples = 0;
};

/// Cuts at the quietest point within 5 s of the limit, as the official package does; no gap, no overlap. A recording
/// within the limit is one segment; an empty one has none.
std::vector<SegmentSpan> split_segments(std::span<const float> samples, double max_segment_s);

}  // namespace qasr
