// See asr_output.h. All three functions reproduce the official package, oddities included: a reader of its output must
// find the same text here.
#include "text/asr_output.h"

#include <algorithm>
#include <cstddef>

#include "base/utf8.h"
#include "text/language_name.h"

namespace qasr {
namespace {

constexpr std::string_view kAsrTextTag = "<asr_text>";
constexpr std::string_view kLanguagePrefix = "language ";
constexpr std::string_view kNoSpeech = "language none";

constexpr std::size_t kThreshold = 20;         // repeats; see fix_repetitions
constexpr std::size_t kMaxPatternLength = 20;  // characters

// Lower case of the ASCII letters, which is all that the comparisons here need.
std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

// The line breaks of Python's str.splitlines.
bool is_line_break(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::string_view first_line_with_text(std::string_view text) {
  text = strip_space(text);  // line breaks are white space
  std::size_t end = 0;
  while (end < text.size()) {
    const Utf8Char character = decode_utf8_char(text.substr(end));
    if (is_line_break(character.code_point)) break;
    end += character.n_bytes;
  }
  return strip_space(text.substr(0, end));
}

// The language that the part before <asr_text> names; "" if it names none.
std::string parse_language(std::string_view meta) {
  const std::string_view line = first_line_with_text(meta);
  if (!lower_case(line).starts_with(kLanguagePrefix)) return {};
  return normalize_language_name(line.substr(kLanguagePrefix.size()));
}

// Runs of more than kThreshold equal characters become one character.
std::u32string collapse_character_runs(std::u32string_view text) {
  std::u32string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_not_of(text[begin], begin), text.size());
    out.append(end - begin > kThreshold ? 1 : end - begin, text[begin]);
    begin = end;
  }
  return out;
}

// How many characters at the start of `text` continue the pattern of its first `length` ones, in whole repeats.
std::size_t repeated_length(std::u32string_view text, std::size_t length) {
  std::size_t end = length;
  while (end < text.size() && text[end] == text[end - length]) ++end;
  return end / length * length;
}

// Patterns of 1 to kMaxPatternLength characters that repeat at least kThreshold times become one pattern; at each
// position the shortest pattern counts.
std::u32string collapse_patterns(std::u32string_view text) {
  // The official code does not look at the last 39 characters as the start of a run.
  constexpr std::size_t kMinLength = 2 * kThreshold;
  std::u32string out;
  while (text.size() >= kMinLength) {
    std::size_t n_kept = 1, n_consumed = 1;
    for (std::size_t length = 1; length <= kMaxPatternLength && length * kThreshold <= text.size(); ++length) {
      const std::size_t repeated = repeated_length(text, length);
      if (repeated < length * kThreshold) continue;
      n_kept = length;
      n_consumed = repeated;
      break;
    }
    out += text.substr(0, n_kept);
    text.remove_prefix(n_consumed);
  }
  return out.append(text);
}

}  // namespace

AsrOutput parse_asr_output(std::string_view raw, std::string_view forced_language) {
  const std::string_view stripped = strip_space(raw);
  if (stripped.empty()) return {};
  const std::string answer = fix_repetitions(stripped);
  if (!forced_language.empty()) return {std::string(forced_language), answer};

  const std::size_t tag = answer.find(kAsrTextTag);
  if (tag == std::string::npos) return {"", answer};
  const std::string_view meta = std::string_view(answer).substr(0, tag);
  const std::string_view text = strip_space(std::string_view(answer).substr(tag + kAsrTextTag.size()));
  const bool no_speech = lower_case(meta).find(kNoSpeech) != std::string::npos;
  return {no_speech ? std::string() : parse_language(meta), std::string(text)};
}

std::string fix_repetitions(std::string_view text) {
  return encode_utf8(collapse_patterns(collapse_character_runs(decode_utf8(text))));
}

std::string join_languages(const std::vector<std::string>& languages) {
  std::string joined;
  std::string_view previous;
  for (const std::string& language : languages) {
    const std::string_view name = strip_space(language);
    if (name.empty() || name == previous) continue;
    if (!joined.empty()) joined += ',';
    joined += name;
    previous = name;
  }
  return joined;
}

}  // namespace qasr
