// Choosing the next token of a row from its logits when the most likely one is not simply taken: penalties, bans and
// drawing. choose_token is the definition that Backend::choose_ids follows. Semantics and order are those of the logits
// processors and warpers in Hugging Face transformers 5.17: RepetitionPenalty, NoRepeatNGram, Temperature, TopK, TopP.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qasr/options.h"

namespace qasr {

/// How the next token of one row is chosen.
struct RowChoice {
  SamplingOptions options;
  std::uint64_t random_state = 0;         ///< of split_mix; the next number decides the next draw
  std::span<const std::int32_t> history;  ///< the answer so far
};

/// Whether the most likely token of the raw logits is the choice, whatever the history.
inline bool takes_most_likely(const SamplingOptions& options) {
  return options.temperature <= 0 && options.repetition_penalty == 1 && options.no_repeat_ngram_size == 0;
}

/// The next token. Changes `logits` [vocab]. Advances the random state if it draws.
std::int32_t choose_token(RowChoice& choice, std::span<float> logits);

/// The processed logits, in place: banned and excluded tokens become -inf. Not yet a choice.
///   logits   [vocab] f32
///   history  the answer so far
void process_logits(const SamplingOptions& options, std::span<const std::int32_t> history, std::span<float> logits);

/// Draws an id from softmax(logits): the first, in order of ids, at which the summed probability exceeds `uniform`. The
/// first of the largest if that is no finite number: everything is banned.
std::int32_t draw_token(std::span<const float> logits, double uniform);

/// SplitMix64 (Steele, Lea, Flood 2014): passes its state through a mixing function, equal on every machine.
constexpr std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The next number of a stream, in [0, 1).
constexpr double next_uniform(std::uint64_t& state) { return static_cast<double>(split_mix(state) >> 11) * 0x1p-53; }

/// A row's choice as a table in a backend's memory holds it, so that many steps can be called before the first one's
/// ids are known: every step appends to the history and advances the random state.
struct ChoiceRecord {
  std::uint64_t random_state;
  double top_p;
  float temperature, repetition_penalty;
  std::int32_t top_k, no_repeat_ngram_size;
  std::int32_t draws_or_penalises;  ///< 0: the row's id stays what it is, nothing else here counts
  std::int32_t history_begin;       ///< into the table, in elements
  std::int32_t n_history, history_capacity;
};
inline constexpr std::int64_t kChoiceRecordWords = sizeof(ChoiceRecord) / sizeof(std::int32_t);

/// A table of i32: one ChoiceRecord per row, then the histories, each with room for n_steps more ids.
std::vector<std::int32_t> make_choice_table(std::span<const RowChoice> rows, int n_steps);

}  // namespace qasr
