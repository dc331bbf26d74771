// The alternatives of kPreTokenizerRegex, tried in order at each position. Each of them is greedy, and what the
// backtracking of a regex engine would find follows from one scan; the comments say how.
#include "text/pre_tokenizer.h"

#include <unicode/uchar.h>

#include <cstdint>

#include "base/utf8.h"

namespace qasr {
namespace {

enum class Category : std::uint8_t {
  kEnd,      // past the last character
  kLetter,   // \p{L}
  kNumber,   // \p{N}
  kNewline,  // \r or \n, both also \s
  kSpace,    // the rest of \s
  kOther,
};

struct Scanned {
  Category category;
  std::size_t n_bytes;
};

Category categorize(char32_t c) noexcept {
  if (c == '\r' || c == '\n') return Category::kNewline;
  // \s is White_Space: the separators Z* and the control characters U+0009..000D and U+0085.
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return Category::kSpace;
  const std::uint32_t mask = U_MASK(u_charType(static_cast<UChar32>(c)));
  if (mask & U_GC_L_MASK) return Category::kLetter;
  if (mask & U_GC_N_MASK) return Category::kNumber;
  if (mask & U_GC_Z_MASK) return Category::kSpace;
  return Category::kOther;
}

Scanned scan(std::string_view text, std::size_t at) noexcept {
  if (at == text.size()) return {Category::kEnd, 0};
  const Utf8Char character = decode_utf8_char(text.substr(at));
  return {categorize(character.code_point), character.n_bytes};
}

// The end of the run of one category that starts at `at` (maybe empty).
std::size_t skip(std::string_view text, std::size_t at, Category category) noexcept {
  for (Scanned next = scan(text, at); next.category == category; next = scan(text, at)) at += next.n_bytes;
  return at;
}

// Bytes of s, t, re, ve, m, ll or d at the start of `text` in any case; 0 if there is none of them. U+017F (long s)
// is another case form of s.
std::size_t contraction_bytes(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const char first = ascii_lower(text[0]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 1;
  if (text.size() < 2) return 0;
  const char second = ascii_lower(text[1]);
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) return 2;
  return text.substr(0, 2) == "\u017F" ? 2 : 0;
}

// \s*[\r\n]+ | \s+(?!\S) | \s+ on a run of white space that starts at `begin`.
std::size_t white_space_token(std::string_view text, std::size_t begin) noexcept {
  std::size_t after_last_newline = begin, last_character = begin, end = begin;
  for (Scanned next = scan(text, end); next.category == Category::kSpace || next.category == Category::kNewline;
       next = scan(text, end)) {
    last_character = end;
    end += next.n_bytes;
    if (next.category == Category::kNewline) after_last_newline = end;
  }
  // \s* gives characters back until a line break follows it, which is the last one of the run.
  if (after_last_newline != begin) return after_last_newline;
  // \s+(?!\S) gives back one character unless the text ends here; a single character cannot be given back.
  return end == text.size() || last_character == begin ? end : last_character;
}

}  // namespace

std::size_t next_pre_token(std::string_view text, std::size_t begin) noexcept {
  if (text[begin] == '\'') {
    if (const std::size_t n_bytes = contraction_bytes(text.substr(begin + 1))) return begin + 1 + n_bytes;
  }
  // [^\r\n\p{L}\p{N}]?\p{L}+
  const Scanned first = scan(text, begin);
  const bool may_lead_word = first.category == Category::kSpace || first.category == Category::kOther;
  const std::size_t word = may_lead_word ? begin + first.n_bytes : begin;
  const std::size_t word_end = skip(text, word, Category::kLetter);
  if (word_end != word) return word_end;

  if (first.category == Category::kNumber) return begin + first.n_bytes;

  // " ?[^\s\p{L}\p{N}]+[\r\n]*"
  const std::size_t symbols = text[begin] == ' ' ? begin + 1 : begin;
  const std::size_t symbols_end = skip(text, symbols, Category::kOther);
  if (symbols_end != symbols) return skip(text, symbols_end, Category::kNewline);

  return white_space_token(text, begin);
}

}  // namespace qasr
