#include "output/unicode_text.h"

#include <unicode/brkiter.h>
#include <unicode/ubidi.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "base/check.h"
#include "base/utf8.h"

namespace qasr {
namespace {

enum class BreakKind { kLine, kGrapheme };

std::unique_ptr<icu::BreakIterator> make_breaks(BreakKind kind, const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> breaks(
      kind == BreakKind::kLine ? icu::BreakIterator::createLineInstance(icu::Locale::getRoot(), status)
                               : icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  QASR_CHECK_MSG(U_SUCCESS(status), std::string("ICU break iterator: ") + u_errorName(status));
  breaks->setText(text);
  return breaks;
}

std::string to_utf8(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

std::string with_single_spaces(std::string_view text) {
  std::string out;
  for (char32_t c : decode_utf8(text)) {
    const bool breaking_space = is_space(c) && c != 0xA0 && c != 0x202F;
    if (!breaking_space && u_charType(static_cast<UChar32>(c)) == U_CONTROL_CHAR) continue;
    if (!breaking_space) {
      append_utf8(out, c);
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return std::string(trim_spaces(out));
}

bool contains(std::u32string_view set, char32_t c) { return set.find(c) != std::u32string_view::npos; }

// By the last character that is no closing quote or bracket.
BreakQuality quality_of(std::string_view text) {
  std::u32string characters = decode_utf8(text);
  while (!characters.empty() && contains(U"\"')]}»”’」』）】", characters.back())) characters.pop_back();
  if (characters.empty()) return BreakQuality::kAnywhere;
  if (contains(U".!?…。！？؟۔।॥", characters.back())) return BreakQuality::kSentence;
  return contains(U",;:–—،؛、，；：", characters.back()) ? BreakQuality::kClause : BreakQuality::kAnywhere;
}

int columns_of(UChar32 c) {
  const int type = u_charType(c);
  if (type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK || type == U_FORMAT_CHAR || type == U_CONTROL_CHAR)
    return 0;
  const int width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

}  // namespace

std::string_view trim_spaces(std::string_view text) { return strip_space(text); }

std::vector<std::string> graphemes(std::string_view text) {
  const icu::UnicodeString unicode =
      icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
  const auto breaks = make_breaks(BreakKind::kGrapheme, unicode);
  std::vector<std::string> clusters;
  for (std::int32_t begin = 0, end = breaks->next(); end != icu::BreakIterator::DONE;
       begin = end, end = breaks->next()) {
    clusters.push_back(to_utf8(unicode.tempSubStringBetween(begin, end)));
  }
  return clusters;
}

int text_columns(std::string_view text) {
  int columns = 0;
  for (const std::string& cluster : graphemes(text)) {
    int widest = 0;
    for (char32_t c : decode_utf8(cluster)) widest = std::max(widest, columns_of(static_cast<UChar32>(c)));
    columns += widest;
  }
  return columns;
}

std::vector<TextPiece> split_at_line_breaks(std::string_view text) {
  const icu::UnicodeString unicode = icu::UnicodeString::fromUTF8(with_single_spaces(text));
  const auto breaks = make_breaks(BreakKind::kLine, unicode);
  std::vector<TextPiece> pieces;
  for (std::int32_t begin = 0, end = breaks->next(); end != icu::BreakIterator::DONE;
       begin = end, end = breaks->next()) {
    TextPiece piece;
    piece.text = to_utf8(unicode.tempSubStringBetween(begin, end));
    const std::string_view visible = trim_spaces(piece.text);
    piece.columns = text_columns(visible);
    piece.space_columns = visible.size() < piece.text.size() ? 1 : 0;
    piece.quality = quality_of(visible);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

bool is_right_to_left(std::string_view text) {
  const icu::UnicodeString unicode =
      icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
  return ubidi_getBaseDirection(unicode.getBuffer(), unicode.length()) == UBIDI_RTL;
}

}  // namespace qasr
