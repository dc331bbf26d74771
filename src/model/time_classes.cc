#include "model/time_classes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/check.h"

namespace qasr {
namespace {

constexpr double kMsPerS = 1000;
// A slot's log-probability counts no less than this (0.01 %): one that points elsewhere cannot drag the others along.
constexpr float kUnsupported = -9.2F;
constexpr double kGapWeight = 0.25;    // a gap between words that are spread, relative to a letter
constexpr double kLettersPerS = 14;    // how fast words are spread where nothing follows or precedes them
constexpr double kMostOfAClass = 0.5;  // how far a time lies from its class
constexpr double kShortOffset = 0.25;  // the same beside the word's other time: each word keeps half a class

// Length and predecessor of the longest non-decreasing subsequences that end at each value; the first that is as long.
std::vector<bool> longest_non_decreasing(std::span<const int> values) {
  const int n = static_cast<int>(values.size());
  std::vector<int> length(values.size(), 1), parent(values.size(), -1);
  for (int i = 1; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    for (int j = 0; j < i; ++j) {
      const auto before = static_cast<std::size_t>(j);
      if (values[before] <= values[at] && length[before] + 1 > length[at]) {
        length[at] = length[before] + 1;
        parent[at] = j;
      }
    }
  }
  std::vector<bool> is_normal(values.size(), false);
  int at = static_cast<int>(std::max_element(length.begin(), length.end()) - length.begin());
  for (; at >= 0; at = parent[static_cast<std::size_t>(at)]) is_normal[static_cast<std::size_t>(at)] = true;
  return is_normal;
}

// Fills values [begin, end), which are not normal, from the ones around them.
void fill_run(std::vector<double>& values, std::size_t begin, std::size_t end) {
  const bool has_left = begin > 0, has_right = end < values.size();
  const double left = has_left ? values[begin - 1] : 0, right = has_right ? values[end] : 0;
  const std::size_t length = end - begin;
  for (std::size_t k = begin; k < end; ++k) {
    if (!has_left || !has_right) {
      values[k] = has_left ? left : right;
    } else if (length <= 2) {
      values[k] = k - begin + 1 <= end - k ? left : right;
    } else {
      const double step = (right - left) / static_cast<double>(length + 1);
      values[k] = left + step * static_cast<double>(k - begin + 1);
    }
  }
}

// A path through the classes, one per slot.
struct Path {
  std::vector<int> classes;
  bool words_have_room = true;  // each word has a class of its own
};

// The most likely path in [0, n_audio_classes) that never falls, by dynamic programming.
Path most_likely_path(const SlotScores& scores, std::size_t n_slots) {
  const auto n_classes = static_cast<std::size_t>(scores.n_audio_classes);
  Path path;
  path.words_have_room = n_slots / 2 < n_classes;
  // sums[c]: of the best path that ends in class c; from[slot][c]: its class one slot before.
  std::vector<float> sums(n_classes, 0), reached(n_classes);
  std::vector<std::int32_t> from(n_slots * n_classes);
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    const bool is_end = slot % 2 == 1;
    const std::size_t gap = is_end && path.words_have_room ? 1 : 0;
    std::int32_t* const back = from.data() + slot * n_classes;
    float best = -std::numeric_limits<float>::infinity();
    std::int32_t best_class = 0;
    for (std::size_t c = 0; c < n_classes; ++c) {
      if (c >= gap && sums[c - gap] > best) {
        best = sums[c - gap];
        best_class = static_cast<std::int32_t>(c - gap);
      }
      reached[c] = best + std::max(scores.log_prob(slot, static_cast<int>(c)), kUnsupported);
      back[c] = best_class;
    }
    std::swap(sums, reached);
  }
  path.classes.resize(n_slots);
  auto at = static_cast<std::int32_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
  for (std::size_t slot = n_slots; slot-- > 0;) {
    path.classes[slot] = at;
    at = from[slot * n_classes + static_cast<std::size_t>(at)];
  }
  return path;
}

// Where between the classes around `c` the probability lies, in classes.
double offset_from(const SlotScores& scores, std::size_t slot, int c) {
  const auto probability = [&](int k) {
    return k < 0 || k >= scores.width ? 0.0 : std::exp(static_cast<double>(scores.log_prob(slot, k)));
  };
  const double before = probability(c - 1), at = probability(c), after = probability(c + 1);
  const double sum = before + at + after;
  return sum > 0 ? std::clamp((after - before) / sum, -kMostOfAClass, kMostOfAClass) : 0;
}

// Places the slots [begin, end) between their supported neighbours: words in proportion to their letters, small gaps.
void spread(std::vector<double>& times_s, std::size_t begin, std::size_t end, std::span<const int> weights,
            double duration_s) {
  // Width of the interval in front of a slot: the word itself in front of its end, else a gap.
  const auto width = [&](std::size_t slot) {
    return slot % 2 == 1 ? static_cast<double>(std::max(weights[slot / 2], 1)) : kGapWeight;
  };
  double total = 0;
  for (std::size_t slot = begin; slot <= end && slot < times_s.size(); ++slot) total += width(slot);
  const bool has_left = begin > 0, has_right = end < times_s.size();
  double left = has_left ? times_s[begin - 1] : 0, right = has_right ? times_s[end] : duration_s;
  if (!has_left && has_right) left = std::max(0.0, right - total / kLettersPerS);
  if (has_left && !has_right) right = std::min(duration_s, left + total / kLettersPerS);
  right = std::max(left, right);
  double done = 0;
  for (std::size_t slot = begin; slot < end; ++slot) {
    if (has_left || slot > begin) done += width(slot);
    times_s[slot] = left + (right - left) * (total > 0 ? done / total : 0);
  }
}

}  // namespace

std::vector<int> fix_timestamps(std::span<const int> times_ms) {
  if (times_ms.empty()) return {};
  const std::vector<bool> is_normal = longest_non_decreasing(times_ms);
  std::vector<double> values(times_ms.begin(), times_ms.end());
  for (std::size_t begin = 0; begin < values.size();) {
    std::size_t end = begin;
    while (end < values.size() && !is_normal[end]) ++end;
    if (end > begin) fill_run(values, begin, end);
    begin = end + 1;
  }
  std::vector<int> fixed;
  for (const double value : values) fixed.push_back(static_cast<int>(value));
  return fixed;
}

double mass_around(const SlotScores& scores, std::size_t slot, int time_class) {
  double mass = 0;
  for (int c = std::max(time_class - 1, 0); c <= time_class + 1 && c < scores.width; ++c) {
    mass += std::exp(static_cast<double>(scores.log_prob(slot, c)));
  }
  return std::min(mass, 1.0);
}

std::vector<WordTime> official_times(const SlotScores& scores, std::size_t n_words) {
  std::vector<int> times_ms;
  for (std::size_t slot = 0; slot < 2 * n_words; ++slot) times_ms.push_back(scores.best[slot] * scores.class_ms);
  const std::vector<int> fixed = fix_timestamps(times_ms);
  const auto mass = [&](std::size_t slot) {
    return mass_around(scores, slot, static_cast<int>(std::lround(static_cast<double>(fixed[slot]) / scores.class_ms)));
  };
  std::vector<WordTime> words;
  for (std::size_t word = 0; word < n_words; ++word) {
    words.push_back({.start_s = fixed[2 * word] / kMsPerS,
                     .end_s = fixed[2 * word + 1] / kMsPerS,
                     .confidence = std::sqrt(mass(2 * word) * mass(2 * word + 1))});
  }
  return words;
}

std::vector<WordTime> repaired_times(const SlotScores& scores, std::size_t n_words, std::span<const int> weights,
                                     double duration_s) {
  QASR_CHECK(2 * n_words <= scores.n_slots() && weights.size() >= n_words && scores.n_audio_classes > 0);
  const std::size_t n_slots = 2 * n_words;
  const Path path = most_likely_path(scores, n_slots);
  const double class_s = scores.class_ms / kMsPerS;
  std::vector<double> times_s(n_slots), masses(n_slots);
  std::vector<bool> is_supported(n_slots);
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    const int c = path.classes[slot];
    masses[slot] = mass_around(scores, slot, c);
    is_supported[slot] = scores.log_prob(slot, c) > kUnsupported;
    const bool is_short = path.classes[slot ^ 1] - c == (slot % 2 == 0 ? 1 : -1);
    const double limit = is_short ? kShortOffset : kMostOfAClass;
    times_s[slot] = (c + std::clamp(offset_from(scores, slot, c), -limit, limit)) * class_s;
  }
  for (std::size_t begin = 0; begin < n_slots;) {
    std::size_t end = begin;
    while (end < n_slots && !is_supported[end]) ++end;
    if (end > begin) spread(times_s, begin, end, weights, duration_s);
    begin = end + 1;
  }
  std::vector<WordTime> words;
  double last_s = 0;
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    // The end of a word and the start of the next may cross when both lie between the same classes.
    const bool crosses = slot % 2 == 1 && slot + 1 < n_slots && times_s[slot] > times_s[slot + 1];
    if (crosses) times_s[slot] = times_s[slot + 1] = (times_s[slot] + times_s[slot + 1]) / 2;
    times_s[slot] = std::clamp(times_s[slot], last_s, std::max(duration_s, last_s));
    last_s = times_s[slot];
  }
  for (std::size_t word = 0; word < n_words; ++word) {
    words.push_back({.start_s = times_s[2 * word],
                     .end_s = times_s[2 * word + 1],
                     .confidence = std::sqrt(masses[2 * word] * masses[2 * word + 1])});
  }
  return words;
}

}  // namespace qasr
