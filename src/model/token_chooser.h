// Choosing the next token of one sequence from its logits when the most likely one is not simply taken: penalties, bans
// and drawing. Semantics and order are those of the logits processors and warpers in Hugging Face transformers 5.17:
// RepetitionPenalty, NoRepeatNGram, Temperature, TopK, TopP.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qasr/options.h"

namespace qasr {

/// Throws kInvalidArgument naming the option, what it is and what was expected.
void check_sampling(const SamplingOptions& options);

/// The processed logits, in place: banned and excluded tokens become -inf. Not yet a choice.
///   logits   [vocab] f32
///   history  the answer so far
void process_logits(const SamplingOptions& options, std::span<const std::int32_t> history, std::span<float> logits);

class TokenChooser {
 public:
  /// @param stream  sequences with different streams draw independently under one seed
  TokenChooser(const SamplingOptions& options, std::uint64_t stream);

  /// Whether the most likely token of the raw logits is the choice: choose() need not be called.
  bool takes_most_likely() const;

  /// The next token after `history`. Changes `logits`. The n-th call draws the n-th number of its stream, so the
  /// result depends on the arguments, the seed and n only.
  std::int32_t choose(std::span<const std::int32_t> history, std::span<float> logits);

 private:
  double next_uniform();  // in [0, 1)

  SamplingOptions options_;
  std::uint64_t state_;
};

/// Draws an id from softmax(logits): the first, in order of ids, at which the summed probability exceeds `uniform`.
std::int32_t draw_token(std::span<const float> logits, double uniform);

}  // namespace qasr
