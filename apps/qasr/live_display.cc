#include "live_display.h"

#include <wchar.h>

#include <algorithm>
#include <clocale>
#include <cstdint>

namespace qasr::app {
namespace {

constexpr std::string_view kDim = "\033[2m", kPlain = "\033[0m", kEraseBelow = "\033[J", kLineBreak = "\r\n";

struct Character {
  std::string_view bytes;
  int width = 1;
};

// The first character of a text that is not empty.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t n) { return static_cast<std::uint8_t>(text[n]); };
  const std::size_t length = byte(0) < 0x80 ? 1 : byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : byte(0) >= 0xC0 ? 2 : 0;
  if (length == 0 || length > text.size()) return {text.substr(0, 1), 1};
  if (length == 1) return {text.substr(0, 1), byte(0) < 0x20 || byte(0) == 0x7F ? 0 : 1};
  std::uint32_t code = byte(0) & (0x7FU >> length);
  for (std::size_t n = 1; n < length; ++n) {
    if ((byte(n) & 0xC0) != 0x80) return {text.substr(0, 1), 1};
    code = code << 6 | (byte(n) & 0x3F);
  }
  static const bool has_utf8 = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;  // for wcwidth
  const int width = has_utf8 ? ::wcwidth(static_cast<wchar_t>(code)) : 1;
  return {text.substr(0, length), std::max(0, width)};
}

// Up to and with the next space.
std::string_view first_word(std::string_view text) {
  const std::size_t space = text.find(' ');
  return space == std::string_view::npos ? text : text.substr(0, space + 1);
}

}  // namespace

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    width += character.width;
    text.remove_prefix(character.bytes.size());
  }
  return width;
}

LiveDisplay::LiveDisplay(std::function<Size()> size, std::function<void(std::string_view)> write)
    : ask_size_(std::move(size)), write_(std::move(write)), size_(ask_size_()) {}

// Text with line breaks before words that do not fit; words longer than a line are broken anywhere.
std::string LiveDisplay::lay_out(std::string_view text, int& column, int& n_lines) const {
  const int width = std::max(8, size_.columns) - 1;  // never the last column: terminals differ in what happens there
  std::string out;
  const auto break_line = [&] {
    out += kLineBreak;
    column = 0;
    ++n_lines;
  };
  while (!text.empty()) {
    std::string_view word = first_word(text);
    text.remove_prefix(word.size());
    const bool has_space = word.ends_with(' ');
    const int word_width = display_width(word) - (has_space ? 1 : 0);
    if (column > 0 && column + word_width > width && word_width <= width) break_line();
    while (!word.empty()) {
      const Character character = first_character(word);
      word.remove_prefix(character.bytes.size());
      if (column + character.width > width) {
        break_line();
        if (character.bytes == " ") continue;
      }
      if (character.width == 0 && character.bytes.size() == 1) continue;  // control characters
      out += character.bytes;
      column += character.width;
    }
  }
  return out;
}

// A terminal of another size has moved what was drawn; nobody knows where to. Committed text is left alone and a line
// is begun.
void LiveDisplay::follow_size() {
  const Size now = ask_size_();
  if (now.columns == size_.columns) {
    size_ = now;
    return;
  }
  size_ = now;
  if (column_ == 0 && !has_partial_) return;
  write_(std::string(kEraseBelow) + std::string(kLineBreak));
  column_ = 0;
  partial_lines_ = 0;
  has_partial_ = false;
}

std::string LiveDisplay::erase_partial() {
  if (!has_partial_) return "";
  has_partial_ = false;
  std::string out;
  if (partial_lines_ > 0) out += "\033[" + std::to_string(partial_lines_) + "A";
  out += "\r";
  if (column_ > 0) out += "\033[" + std::to_string(column_) + "C";
  partial_lines_ = 0;
  return out + std::string(kEraseBelow);
}

void LiveDisplay::commit(std::string_view text) {
  follow_size();
  std::string out = erase_partial();
  if (column_ == 0 && text.starts_with(' ')) text.remove_prefix(1);
  int n_lines = 0;
  out += lay_out(text, column_, n_lines);
  write_(out);
}

void LiveDisplay::show_partial(std::string_view text) {
  follow_size();
  std::string out = erase_partial();
  if (column_ == 0 && text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return write_(out);
  int column = column_, n_lines = 0;
  std::string drawn = lay_out(text, column, n_lines);
  for (const int most = std::max(0, size_.rows - 2); n_lines > most; --n_lines) drawn.erase(drawn.rfind(kLineBreak));
  has_partial_ = true;
  partial_lines_ = n_lines;
  write_(out + std::string(kDim) + drawn + std::string(kPlain));
}

void LiveDisplay::end_line() {
  follow_size();
  std::string out = erase_partial();
  if (column_ > 0) out += kLineBreak;
  column_ = 0;
  write_(out);
}

}  // namespace qasr::app
