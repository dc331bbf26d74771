// The official splitter: quietest 100 ms near each limit, then the quietest sample in it.
#include "audio/energy_split.h"

#include <algorithm>
#include <cmath>

#include "qasr/audio.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr std::size_t kSearchSamples = 5 * kSampleRate;   // to each side of the limit
constexpr std::size_t kWindowSamples = kSampleRate / 10;  // 100 ms

bool quieter(float a, float b) { return std::abs(a) < std::abs(b); }

// First position of the smallest sum of |x| over kWindowSamples; region.size() >= kWindowSamples.
std::size_t quietest_window(std::span<const float> region, std::vector<double>& prefix) {
  prefix.assign(1, 0.0);
  for (float x : region) prefix.push_back(prefix.back() + std::abs(static_cast<double>(x)));
  std::size_t best = 0;
  for (std::size_t begin = 1; begin + kWindowSamples <= region.size(); ++begin) {
    if (prefix[begin + kWindowSamples] - prefix[begin] < prefix[best + kWindowSamples] - prefix[best]) best = begin;
  }
  return best;
}

std::size_t quietest_point(std::span<const float> region, std::vector<double>& prefix) {
  if (region.size() > kWindowSamples) {
    const std::size_t begin = quietest_window(region, prefix);
    const auto window = region.subspan(begin, kWindowSamples);
    return begin + static_cast<std::size_t>(std::min_element(window.begin(), window.end(), quieter) - window.begin());
  }
  return static_cast<std::size_t>(std::min_element(region.begin(), region.end(), quieter) - region.begin());
}

// Where to cut a recording whose current piece begins at `start`; in [start + 1, samples.size()].
std::size_t find_boundary(std::span<const float> samples, std::size_t start, std::size_t max_piece_samples,
                          std::vector<double>& prefix) {
  const std::size_t limit = start + max_piece_samples;
  const std::size_t left = limit - std::min(max_piece_samples, kSearchSamples);
  const std::size_t right = std::min(samples.size(), limit + kSearchSamples);
  if (right - left <= kWindowSamples) return limit;
  return std::max(left + quietest_point(samples.subspan(left, right - left), prefix), start + 1);
}

}  // namespace

std::size_t quietest_point(std::span<const float> region) {
  std::vector<double> prefix;
  return quietest_point(region, prefix);
}

std::vector<AudioPiece> energy_split(std::span<const float> samples, std::size_t max_piece_samples) {
  if (max_piece_samples == 0) {
    throw Error(ErrorCode::kInvalidArgument, "energy_split: max_piece_samples is 0, expected at least 1");
  }
  std::vector<AudioPiece> pieces;
  std::vector<double> prefix;  // [samples in the search region + 1], reused from cut to cut
  std::size_t start = 0;
  while (samples.size() - start > max_piece_samples) {
    const std::size_t boundary = find_boundary(samples, start, max_piece_samples, prefix);
    pieces.push_back({.offset = start, .length = boundary - start});
    start = boundary;
  }
  if (start < samples.size() || pieces.empty()) pieces.push_back({.offset = start, .length = samples.size() - start});
  return pieces;
}

}  // namespace qasr
