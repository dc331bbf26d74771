// Classes of slots -> times that never run backwards, and how sure they are. docs/alignment.md explains both ways.
#pragma once

#include <span>
#include <vector>

#include "model/slot_scores.h"

namespace qasr {

/// The official correction: the longest non-decreasing subsequence stays, the values between are filled in.
///   times_ms  start and end of each word, [2 * words]
/// Source: fix_timestamp of QwenLM/Qwen3-ASR, bit for bit.
std::vector<int> fix_timestamps(std::span<const int> times_ms);

/// Start and end of a word from the beginning of its piece, in seconds.
struct WordTime {
  double start_s = 0, end_s = 0;
  double confidence = 0;
};

/// The official times of the first n_words words.
std::vector<WordTime> official_times(const SlotScores& scores, std::size_t n_words);

/// The most likely times in [0, duration_s] that never run backwards and give each word a class of its own, where there
/// are that many classes. Slots that the model says nothing about (probability below kUnsupported at every place that
/// the others leave) are spread between those around them. Between classes by the probabilities of the neighbours.
///   weights  [n_words] how long each word is, relative to the others: its letters
std::vector<WordTime> repaired_times(const SlotScores& scores, std::size_t n_words, std::span<const int> weights,
                                     double duration_s);

/// Probability that the slot's time is within a class of `time_class`.
double mass_around(const SlotScores& scores, std::size_t slot, int time_class);

}  // namespace qasr
