// A table of first bytes skips nearly all of the text; the few candidates are compared one after another.
#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

namespace qasr {

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& left, const AddedToken& right) {
    return left.content.size() > right.content.size();
  });
  for (const AddedToken& token : tokens_) starts_a_token_[static_cast<unsigned char>(token.content[0])] = true;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!starts_a_token_[static_cast<unsigned char>(text[begin])]) continue;
    for (const AddedToken& token : tokens_) {
      if (text.compare(begin, token.content.size(), token.content) != 0) continue;
      return Match{begin, token.content.size(), token.id};
    }
  }
  return std::nullopt;
}

}  // namespace qasr
