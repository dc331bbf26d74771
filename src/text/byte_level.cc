// Bytes 33..126, 161..172 and 174..255 stand for themselves (as code points); the other 68, in increasing order, are
// U+0100 to U+0143.
#include "text/byte_level.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/utf8.h"

namespace qasr {
namespace {

constexpr char32_t kAlphabetEnd = 0x144;
constexpr std::int16_t kNotInAlphabet = -1;

constexpr bool stands_for_itself(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, kAlphabetEnd> byte{};
};

constexpr Tables make_tables() {
  Tables tables;
  for (auto& byte : tables.byte) byte = kNotInAlphabet;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
    tables.character[static_cast<std::size_t>(byte)] = character;
    tables.byte[character] = static_cast<std::int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

bool append_byte_level(std::string_view characters, std::string& out) {
  const std::size_t old_size = out.size();
  while (!characters.empty()) {
    const Utf8Char character = decode_utf8_char(characters);
    if (character.code_point >= kAlphabetEnd || kTables.byte[character.code_point] == kNotInAlphabet) {
      out.resize(old_size);
      return false;
    }
    out += static_cast<char>(kTables.byte[character.code_point]);
    characters.remove_prefix(character.n_bytes);
  }
  return true;
}

std::string byte_level_character(unsigned char byte) {
  std::string text;
  append_utf8(text, kTables.character[byte]);
  return text;
}

}  // namespace qasr
