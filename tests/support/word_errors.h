// Word error rate as tools/word_error_rate.py counts it: words in lower case without punctuation, apostrophes inside
// words kept. For English text in ASCII.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace qasr::testing {

inline std::vector<std::string> plain_words(std::string_view text) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_inner_apostrophe =
        text[i] == '\'' && i > 0 && i + 1 < text.size() && is_word(text[i - 1]) && is_word(text[i + 1]);
    const bool is_part = is_word(text[i]) || is_inner_apostrophe;
    if (is_part && !in_word) words.emplace_back();
    if (is_part) words.back().push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(text[i]))));
    in_word = is_part;
  }
  return words;
}

/// Levenshtein distance over words.
inline int word_edits(const std::vector<std::string>& expected, const std::vector<std::string>& found) {
  std::vector<int> row(found.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = static_cast<int>(j);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i) + 1;
    for (std::size_t j = 0; j < found.size(); ++j) {
      const int substituted = diagonal + (expected[i] == found[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace qasr::testing
