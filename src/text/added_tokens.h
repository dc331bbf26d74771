// Finds added tokens ("<|im_end|>", "<asr_text>") in text. They are cut out before anything else is done to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace qasr {

class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t begin = 0, n_bytes = 0;
    std::int32_t id = 0;
  };

  AddedTokenMatcher() = default;
  /// @param tokens  contents are not empty and differ from one another
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  /// The first token at or after `from`; of several that start there the longest.
  std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  std::vector<AddedToken> tokens_;          // longest first
  std::array<bool, 256> starts_a_token_{};  // by first byte
};

}  // namespace qasr
