// UTF-8 <-> code points, tolerant of ill-formed input: every maximal subpart of an ill-formed sequence becomes U+FFFD.
// The same rule as Python's bytes.decode("utf-8", errors="replace") and Rust's String::from_utf8_lossy.
// Source: The Unicode Standard 15.0, table 3-7 and "U+FFFD Substitution of Maximal Subparts" (section 3.9).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qasr {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

enum class Utf8Status {
  kValid,      ///< a well-formed character
  kInvalid,    ///< ill-formed whatever follows
  kTruncated,  ///< the text ends inside a sequence that is well-formed so far
};

struct Utf8Char {
  char32_t code_point;  ///< U+FFFD unless valid
  std::size_t n_bytes;  ///< 1 to 4; of the maximal subpart if not valid
  Utf8Status status;
};

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

/// The first character of `text`, which must not be empty.
Utf8Char decode_utf8_char(std::string_view text) noexcept;

void append_utf8(std::string& out, char32_t code_point);

/// All characters, ill-formed ones as U+FFFD.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view code_points);

bool is_valid_utf8(std::string_view text) noexcept;
/// A copy with every ill-formed maximal subpart replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);
/// Bytes (0 to 3) at the end of `text` that begin a character the following bytes could still complete.
std::size_t n_incomplete_utf8_bytes(std::string_view text) noexcept;

/// White space as Python's str.isspace sees it: Unicode White_Space and U+001C to U+001F.
bool is_space(char32_t code_point) noexcept;
/// `text` without leading and trailing white space, as Python's str.strip.
std::string_view strip_space(std::string_view text) noexcept;

}  // namespace qasr
