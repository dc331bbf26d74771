// What subtitles need to know of Unicode: where text may be broken, how wide it is, which way it runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qasr {

/// Where a good break is behind a piece.
enum class BreakQuality { kAnywhere, kClause, kSentence };

/// Text between two permitted line breaks, white space behind it included.
struct TextPiece {
  std::string text;
  int columns = 0;        ///< without the white space behind
  int space_columns = 0;  ///< of that white space
  BreakQuality quality = BreakQuality::kAnywhere;
};

/// Unicode line breaking (UAX 14; dictionaries for Thai, Lao, Khmer, Burmese), white space runs made one space.
std::vector<TextPiece> split_at_line_breaks(std::string_view text);

/// Columns of a terminal: 2 for East Asian wide characters, 0 for marks and controls, 1 for others; per grapheme
/// cluster, that of its widest character.
int text_columns(std::string_view text);

/// Grapheme clusters in order.
std::vector<std::string> graphemes(std::string_view text);

/// Does the first strong character run right to left?
bool is_right_to_left(std::string_view text);

std::string_view trim_spaces(std::string_view text);

}  // namespace qasr
