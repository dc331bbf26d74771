// Which token comes next in one sequence: its options and its stream of random numbers. The choice itself is the
// backend's (Backend::choose_ids), defined in backend/token_choice.h.
#pragma once

#include <cstdint>
#include <span>

#include "backend/token_choice.h"
#include "qasr/options.h"

namespace qasr {

/// Throws kInvalidArgument naming the option, what it is and what was expected.
void check_sampling(const SamplingOptions& options);

class TokenChooser {
 public:
  /// @param stream  sequences with different streams draw independently under one seed
  TokenChooser(const SamplingOptions& options, std::uint64_t stream);

  /// Whether the most likely token of the raw logits is the choice.
  bool takes_most_likely() const { return qasr::takes_most_likely(options_); }

  /// How the token after `history` is chosen. The n-th token draws the n-th number of the stream, so it depends on the
  /// options, the stream, the history and n only.
  RowChoice choice(std::span<const std::int32_t> history) const {
    return {.options = options_, .random_state = state_, .history = history};
  }
  /// A token was chosen: the next one is the next draw.
  void advance();

 private:
  SamplingOptions options_;
  std::uint64_t state_;
};

}  // namespace qasr
