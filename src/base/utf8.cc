// UTF-8 decoding by the table of well-formed byte sequences (Unicode 15.0, table 3-7).
#include "base/utf8.h"

#include <algorithm>

namespace qasr {
namespace {

constexpr bool is_trail_byte(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// What a lead byte allows. Only the byte after the lead has a range of its own; later ones are 80..BF.
struct LeadByte {
  int n_trail;  // 0: cannot begin a sequence of more than one byte
  unsigned char second_min, second_max;
};

constexpr LeadByte classify_lead(unsigned char lead) {
  if (lead < 0xC2) return {0, 0, 0};  // C0 and C1 could only encode ASCII again
  if (lead < 0xE0) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};  // no overlong forms
  if (lead == 0xED) return {2, 0x80, 0x9F};  // no surrogates
  if (lead < 0xF0) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead < 0xF4) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};  // nothing above U+10FFFF
  return {0, 0, 0};
}

}  // namespace

Utf8Char decode_utf8_char(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, Utf8Status::kValid};
  const LeadByte rule = classify_lead(lead);
  if (rule.n_trail == 0) return {kReplacementCharacter, 1, Utf8Status::kInvalid};

  char32_t code_point = lead & (0x3Fu >> rule.n_trail);
  unsigned char min = rule.second_min, max = rule.second_max;
  const auto n_bytes = static_cast<std::size_t>(rule.n_trail) + 1;
  for (std::size_t at = 1; at < n_bytes; ++at) {
    if (at == text.size()) return {kReplacementCharacter, at, Utf8Status::kTruncated};
    const auto trail = static_cast<unsigned char>(text[at]);
    if (trail < min || trail > max) return {kReplacementCharacter, at, Utf8Status::kInvalid};
    code_point = (code_point << 6) | (trail & 0x3Fu);
    min = 0x80;
    max = 0xBF;
  }
  return {code_point, n_bytes, Utf8Status::kValid};
}

void append_utf8(std::string& out, char32_t code_point) {
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
    return;
  }
  const int n_trail = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  constexpr unsigned kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[n_trail] | (code_point >> (6 * n_trail)));
  for (int shift = 6 * (n_trail - 1); shift >= 0; shift -= 6) {
    out += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F));
  }
}

std::u32string decode_utf8(std::string_view text) {
  std::u32string code_points;
  code_points.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char character = decode_utf8_char(text);
    code_points += character.code_point;
    text.remove_prefix(character.n_bytes);
  }
  return code_points;
}

std::string encode_utf8(std::u32string_view code_points) {
  std::string text;
  text.reserve(code_points.size());
  for (const char32_t code_point : code_points) append_utf8(text, code_point);
  return text;
}

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const Utf8Char character = decode_utf8_char(text);
    if (character.status != Utf8Status::kValid) return false;
    text.remove_prefix(character.n_bytes);
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char character = decode_utf8_char(text);
    if (character.status == Utf8Status::kValid) {
      out.append(text.substr(0, character.n_bytes));
    } else {
      append_utf8(out, kReplacementCharacter);
    }
    text.remove_prefix(character.n_bytes);
  }
  return out;
}

std::size_t n_incomplete_utf8_bytes(std::string_view text) noexcept {
  const std::size_t furthest = std::min<std::size_t>(3, text.size());
  for (std::size_t n_bytes = 1; n_bytes <= furthest; ++n_bytes) {
    const std::string_view tail = text.substr(text.size() - n_bytes);
    if (is_trail_byte(tail[0])) continue;
    return decode_utf8_char(tail).status == Utf8Status::kTruncated ? n_bytes : 0;
  }
  return 0;
}

bool is_space(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string_view strip_space(std::string_view text) noexcept {
  while (!text.empty()) {
    const Utf8Char first = decode_utf8_char(text);
    if (!is_space(first.code_point)) break;
    text.remove_prefix(first.n_bytes);
  }
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && text.size() - last < 4 && is_trail_byte(text[last])) --last;
    const Utf8Char character = decode_utf8_char(text.substr(last));
    // Ill-formed bytes are not space; a shorter match means that what follows the character is ill-formed.
    if (!is_space(character.code_point) || last + character.n_bytes != text.size()) break;
    text.remove_suffix(character.n_bytes);
  }
  return text;
}

}  // namespace qasr
