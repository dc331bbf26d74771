#include "model/token_chooser.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "base/check.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();
constexpr double kMaxTemperature = 2;

void require(bool valid, const char* option, double found, const char* expected) {
  if (valid) return;
  std::string value = std::to_string(found);
  throw Error(ErrorCode::kInvalidArgument, std::string(option) + " is " + value + ", expected " + expected);
}

// SplitMix64 (Steele, Lea, Flood 2014): passes its state through a mixing function, equal on every machine.
std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

void penalize_repetitions(float penalty, std::span<const std::int32_t> history, std::span<float> logits) {
  std::vector<std::int32_t> seen(history.begin(), history.end());  // a token counts once however often it occurred
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (const std::int32_t id : seen) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = logit < 0 ? logit * penalty : logit / penalty;
  }
}

// Excludes every token that would complete an n-gram of the history a second time.
void ban_repeated_ngrams(int n, std::span<const std::int32_t> history, std::span<float> logits) {
  const auto prefix = static_cast<std::size_t>(n) - 1;
  if (history.size() < prefix + 1) return;
  const std::span<const std::int32_t> last = history.last(prefix);
  for (std::size_t begin = 0; begin + prefix < history.size(); ++begin) {
    if (std::equal(last.begin(), last.end(), history.begin() + static_cast<std::ptrdiff_t>(begin))) {
      logits[static_cast<std::size_t>(history[begin + prefix])] = kExcluded;
    }
  }
}

// Keeps the k largest; ties with the k-th are kept.
void keep_top_k(int k, std::span<float> logits) {
  const auto count = static_cast<std::size_t>(k);
  if (count >= logits.size()) return;
  std::vector<float> sorted(logits.begin(), logits.end());
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count - 1), sorted.end(),
                   std::greater<>());
  const float least = sorted[count - 1];
  for (float& logit : logits) {
    if (logit < least) logit = kExcluded;
  }
}

// Excludes the least likely tokens whose summed probability is at most 1 - top_p; the most likely always stays.
void keep_top_p(double top_p, std::span<float> logits) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto at = [&](std::int32_t id) -> float& { return logits[static_cast<std::size_t>(id)]; };
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return at(a) < at(b); });
  const double largest = at(order.back());
  double total = 0, sum = 0;
  for (const float logit : logits) total += std::exp(logit - largest);
  for (std::size_t index = 0; index + 1 < order.size(); ++index) {
    sum += std::exp(at(order[index]) - largest);
    if (sum > (1 - top_p) * total) return;
    at(order[index]) = kExcluded;
  }
}

}  // namespace

void check_sampling(const SamplingOptions& options) {
  require(options.temperature >= 0 && options.temperature <= kMaxTemperature, "temperature", options.temperature,
          "0 to 2");
  require(options.top_k >= 0, "top_k", options.top_k, "0 or more");
  require(options.top_p > 0 && options.top_p <= 1, "top_p", options.top_p, "more than 0, at most 1");
  require(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty), "repetition_penalty",
          options.repetition_penalty, "a number above 0");
  require(options.no_repeat_ngram_size >= 0, "no_repeat_ngram_size", options.no_repeat_ngram_size, "0 or more");
  const bool draws = options.temperature > 0;
  require(draws || options.top_k == 0, "top_k", options.top_k, "0 without a temperature: nothing is drawn");
  require(draws || options.top_p == 1, "top_p", options.top_p, "1 without a temperature: nothing is drawn");
}

void process_logits(const SamplingOptions& options, std::span<const std::int32_t> history, std::span<float> logits) {
  if (options.repetition_penalty != 1) {
    penalize_repetitions(static_cast<float>(options.repetition_penalty), history, logits);
  }
  if (options.no_repeat_ngram_size > 0) ban_repeated_ngrams(options.no_repeat_ngram_size, history, logits);
  if (options.temperature <= 0) return;
  const auto temperature = static_cast<float>(options.temperature);
  for (float& logit : logits) logit /= temperature;
  if (options.top_k > 0) keep_top_k(options.top_k, logits);
  if (options.top_p < 1) keep_top_p(options.top_p, logits);
}

TokenChooser::TokenChooser(const SamplingOptions& options, std::uint64_t stream)
    : options_(options), state_(options.seed) {
  state_ = split_mix(state_) ^ (stream * 0xd1342543de82ef95ULL);
}

bool TokenChooser::takes_most_likely() const {
  return options_.temperature <= 0 && options_.repetition_penalty == 1 && options_.no_repeat_ngram_size == 0;
}

double TokenChooser::next_uniform() { return static_cast<double>(split_mix(state_) >> 11) * 0x1p-53; }

std::int32_t TokenChooser::choose(std::span<const std::int32_t> history, std::span<float> logits) {
  QASR_CHECK(!logits.empty());
  process_logits(options_, history, logits);
  if (options_.temperature > 0) return draw_token(logits, next_uniform());
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::int32_t draw_token(std::span<const float> logits, double uniform) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0, sum = 0;
  for (const float logit : logits) total += std::exp(logit - largest);
  std::size_t last = 0;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    const double weight = std::exp(logits[id] - largest);
    if (weight == 0) continue;
    sum += weight;
    last = id;
    if (sum > uniform * total) break;
  }
  return static_cast<std::int32_t>(last);
}

}  // namespace qasr
