// Small things that several writers and the engine share: names of notes, what joins segments.
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include "qasr/formats.h"

namespace qasr {
namespace {

UChar32 first_code_point(std::string_view text) {
  UChar32 c = 0;
  std::int32_t offset = 0;
  U8_NEXT_OR_FFFD(text.data(), offset, static_cast<std::int32_t>(text.size()), c);
  return c;
}

UChar32 last_code_point(std::string_view text) {
  UChar32 c = 0;
  std::int32_t offset = static_cast<std::int32_t>(text.size());
  U8_PREV_OR_FFFD(text.data(), 0, offset, c);
  return c;
}

// Space, or a character of a script that puts none between words (full-width punctuation included).
bool needs_no_space(UChar32 c) {
  if (u_isUWhiteSpace(c)) return true;
  const int width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(c, &status);
  if (script == USCRIPT_HANGUL) return false;  // wide, but Korean separates words
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH || script == USCRIPT_THAI;
}

}  // namespace

std::string bare_word(const Word& word) {
  if (word.surface.empty()) return word.text;
  const auto is_outside = [](UChar32 c) { return u_isUWhiteSpace(c) || u_ispunct(c); };
  std::string_view text = word.surface;
  const auto size = [](UChar32 c) { return static_cast<std::size_t>(c == 0xFFFD ? 1 : U8_LENGTH(c)); };
  while (!text.empty() && is_outside(first_code_point(text))) text.remove_prefix(size(first_code_point(text)));
  while (!text.empty() && is_outside(last_code_point(text))) text.remove_suffix(size(last_code_point(text)));
  return text.empty() ? word.text : std::string(text);
}

const char* note_name(NoteKind kind) noexcept {
  switch (kind) {
    case NoteKind::kNoSpeech:
      return "no_speech";
    case NoteKind::kTruncated:
      return "truncated";
    case NoteKind::kRepetitionRecovered:
      return "repetition_recovered";
    case NoteKind::kRepetition:
      return "repetition";
    case NoteKind::kWordTimes:
      return "word_times";
  }
  return "";
}

std::string segment_separator(std::string_view text, std::string_view next) {
  if (text.empty() || next.empty()) return "";
  return needs_no_space(last_code_point(text)) || needs_no_space(first_code_point(next)) ? "" : " ";
}

}  // namespace qasr
