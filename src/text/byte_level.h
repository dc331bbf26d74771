// The printable alphabet in which vocabulary files write bytes: every byte is one character, so that a token that is
// not valid UTF-8 can stand in a JSON string. Space is written U+0120, line feed U+010A.
// Source: bytes_to_unicode of GPT-2, used unchanged by Qwen2/Qwen3.
#pragma once

#include <string>
#include <string_view>

namespace qasr {

/// Appends the bytes that `characters` (UTF-8) stands for. False, with `out` unchanged, if a character is outside the
/// alphabet.
bool append_byte_level(std::string_view characters, std::string& out);

/// The character that stands for `byte`, as UTF-8.
std::string byte_level_character(unsigned char byte);

}  // namespace qasr
