#include "engine/repetition_guard.h"

#include <algorithm>
#include <cmath>

namespace qasr {
namespace {

// People repeat themselves, and songs do: a few rounds are no loop. What counts as one needs this many rounds, by
// period, and this many tokens.
int rounds_of_a_loop(std::size_t period) { return period == 1 ? 16 : period <= 4 ? 8 : period <= 16 ? 5 : 4; }
constexpr int kLoopTokens = 32;

// A loop ends the answer when speech could not have held the tokens so far, or when it is this long by itself. (The
// official clean-up of the text draws the line at 20 rounds.)
constexpr int kCertainTokens = 128, kCertainRounds = 8;
constexpr double kPlausiblePerSecond = 8;
constexpr int kPlausibleBesides = 32;

constexpr int kRunsOnBesides = 64;

}  // namespace

RepetitionGuard::RepetitionGuard(const GuardOptions& options, double duration_s)
    : detect_(options.detect_repetition), duration_s_(duration_s) {
  most_tokens_ = kRunsOnBesides + static_cast<int>(std::ceil(options.max_tokens_per_s * duration_s));
  plausible_tokens_ = kPlausibleBesides + static_cast<int>(std::ceil(kPlausiblePerSecond * duration_s));
}

Verdict RepetitionGuard::add(std::int32_t id) {
  ids_.push_back(id);
  if (!detect_) return Verdict::kHealthy;
  const std::size_t last = ids_.size() - 1;
  bool loops = false;
  for (std::size_t period = 1; period <= std::min(kMaxPeriod, last); ++period) {
    int& n_equal = n_equal_[period];
    n_equal = ids_[last - period] == id ? n_equal + 1 : 0;
    if (loops || n_equal == 0) continue;
    const int n_tokens = n_equal + static_cast<int>(period), rounds = n_tokens / static_cast<int>(period);
    if (rounds < rounds_of_a_loop(period) || n_tokens < kLoopTokens) continue;
    loops =
        static_cast<int>(ids_.size()) > plausible_tokens_ || (n_tokens >= kCertainTokens && rounds >= kCertainRounds);
  }
  if (loops) return Verdict::kLoops;
  return static_cast<int>(ids_.size()) > most_tokens_ ? Verdict::kRunsOn : Verdict::kHealthy;
}

Loop RepetitionGuard::loop() const {
  Loop longest;
  for (std::size_t period = 1; period <= kMaxPeriod; ++period) {
    const int n_tokens = n_equal_[period] + static_cast<int>(period);
    if (n_equal_[period] < static_cast<int>(period) || n_tokens <= longest.n_tokens) continue;
    longest = {static_cast<int>(period), n_tokens, ids_.size() - static_cast<std::size_t>(n_tokens)};
  }
  return longest;
}

std::string RepetitionGuard::describe(Verdict verdict) const {
  const std::string audio =
      " in " + std::to_string(duration_s_).substr(0, std::to_string(duration_s_).find('.') + 2) + " s of audio";
  const std::string total = std::to_string(ids_.size()) + " tokens" + audio;
  if (verdict == Verdict::kHealthy) return total;
  if (verdict == Verdict::kRunsOn) return "the answer ran on: " + total;
  const Loop found = loop();
  return "the answer looped: " + std::to_string(found.period) + " tokens " +
         std::to_string(found.n_tokens / std::max(1, found.period)) + " times, " + total;
}

}  // namespace qasr
