// Which tokens of a hypothesis become committed. Pure functions of token ids; the stream keeps the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "qasr/stream.h"
#include "text/tokenizer.h"

namespace qasr {

/// The policy of StreamOptions with the defaults filled in.
struct CommitSettings {
  CommitPolicy policy = CommitPolicy::kAgreement;
  int agreement = 2;
  int unfixed_chunks = 2, unfixed_tokens = 5;
};

/// Follows the hypotheses of one segment. Every hypothesis begins with what was committed.
class CommitTracker {
 public:
  /// Borrows the tokenizer.
  /// @param forced_language  answers have no "language X<asr_text>" before the text
  CommitTracker(const CommitSettings& settings, const Tokenizer& tokenizer, bool forced_language);

  /// The next hypothesis, without end token, and the natural logarithms of its tokens' probabilities. Returns how many
  /// of its tokens are committed now: whole words, never fewer than before. Nothing is committed before there is text.
  std::size_t add(std::span<const std::int32_t> hypothesis, std::span<const float> log_probs);
  /// Speech has paused after this hypothesis: all of it but the punctuation at its end, which may still change.
  std::size_t at_pause(std::span<const std::int32_t> hypothesis);
  std::size_t n_committed() const { return n_committed_; }

 private:
  std::size_t agreed(std::span<const std::int32_t> hypothesis, std::span<const float> log_probs) const;
  std::size_t n_shared(std::span<const std::int32_t> hypothesis, std::size_t n_hypotheses) const;
  std::size_t before_last_word(std::span<const std::int32_t> hypothesis) const;
  std::size_t official(std::span<const std::int32_t> hypothesis) const;
  std::size_t at_word_end(std::span<const std::int32_t> hypothesis, std::size_t n_tokens) const;
  std::size_t without_punctuation(std::span<const std::int32_t> hypothesis, std::size_t n_tokens) const;
  std::size_t first_text_token(std::span<const std::int32_t> hypothesis) const;
  std::size_t commit(std::span<const std::int32_t> hypothesis, std::size_t n_tokens);

  CommitSettings settings_;
  const Tokenizer& tokenizer_;
  bool forced_language_;
  std::int32_t text_tag_;
  std::deque<std::vector<std::int32_t>> before_;  // hypotheses of the steps before, the last one first
  int n_steps_ = 0;
  std::size_t n_committed_ = 0;
};

}  // namespace qasr
