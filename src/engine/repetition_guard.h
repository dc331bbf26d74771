// Watches an answer while it is decoded: does it loop, does it have more tokens than its audio can hold?
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qasr/options.h"

namespace qasr {

/// What an answer was found to do.
enum class Verdict {
  kHealthy,
  kLoops,   ///< its end is one group of tokens over and over
  kRunsOn,  ///< more tokens than audio of this length can hold
};

/// A loop at the end of an answer.
struct Loop {
  int period = 0;         ///< tokens of one round
  int n_tokens = 0;       ///< that the loop covers, its first round included
  std::size_t begin = 0;  ///< index of the first token of its first round
};

class RepetitionGuard {
 public:
  /// @param duration_s  of the audio that is answered
  RepetitionGuard(const GuardOptions& options, double duration_s);

  /// The answer has one more token. kHealthy without detection.
  Verdict add(std::int32_t id);

  /// The longest loop at the end now, however harmless.
  Loop loop() const;
  /// One sentence for a note: what was found.
  std::string describe(Verdict verdict) const;

  /// Tokens above which an answer runs on.
  int most_tokens() const { return most_tokens_; }

 private:
  static constexpr std::size_t kMaxPeriod = 64;

  bool detect_;
  double duration_s_;
  int most_tokens_, plausible_tokens_;
  std::vector<std::int32_t> ids_;
  std::array<int, kMaxPeriod + 1> n_equal_{};  // [period] last tokens that equal the one `period` before
};

}  // namespace qasr
