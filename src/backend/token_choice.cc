#include "backend/token_choice.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace qasr {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

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

std::int32_t choose_token(RowChoice& choice, std::span<float> logits) {
  QASR_CHECK(!logits.empty());
  process_logits(choice.options, choice.history, logits);
  if (choice.options.temperature > 0) return draw_token(logits, next_uniform(choice.random_state));
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::int32_t draw_token(std::span<const float> logits, double uniform) {
  const auto most_likely = std::max_element(logits.begin(), logits.end());
  if (!std::isfinite(*most_likely)) return static_cast<std::int32_t>(most_likely - logits.begin());
  const double largest = *most_likely;
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

std::vector<std::int32_t> make_choice_table(std::span<const RowChoice> rows, int n_steps) {
  std::vector<std::int32_t> table(rows.size() * static_cast<std::size_t>(kChoiceRecordWords));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const RowChoice& choice = rows[row];
    ChoiceRecord record{};
    if (!takes_most_likely(choice.options)) {
      const auto n_history = static_cast<std::int32_t>(choice.history.size());
      record = {.random_state = choice.random_state,
                .top_p = choice.options.top_p,
                .temperature = static_cast<float>(choice.options.temperature),
                .repetition_penalty = static_cast<float>(choice.options.repetition_penalty),
                .top_k = choice.options.top_k,
                .no_repeat_ngram_size = choice.options.no_repeat_ngram_size,
                .draws_or_penalises = 1,
                .history_begin = static_cast<std::int32_t>(table.size()),
                .n_history = n_history,
                .history_capacity = n_history + n_steps};
      table.insert(table.end(), choice.history.begin(), choice.history.end());
      table.resize(table.size() + static_cast<std::size_t>(n_steps));
    }
    std::memcpy(table.data() + row * static_cast<std::size_t>(kChoiceRecordWords), &record, sizeof record);
  }
  return table;
}

}  // namespace qasr
