#include "text/byte_level.h"

#include <gtest/gtest.h>

#include <set>

namespace qasr {
namespace {

TEST(ByteLevel, EveryByteHasItsOwnCharacterAndComesBack) {
  std::set<std::string> seen;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string character = byte_level_character(static_cast<unsigned char>(byte));
    EXPECT_TRUE(seen.insert(character).second);
    std::string bytes;
    ASSERT_TRUE(append_byte_level(character, bytes));
    EXPECT_EQ(bytes, std::string(1, static_cast<char>(byte)));
  }
}

TEST(ByteLevel, KnownCharacters) {
  EXPECT_EQ(byte_level_character('!'), "!");
  EXPECT_EQ(byte_level_character(' '), "\u0120");
  EXPECT_EQ(byte_level_character('\n'), "\u010A");
  EXPECT_EQ(byte_level_character('\t'), "\u0109");
  EXPECT_EQ(byte_level_character(0), "\u0100");
  EXPECT_EQ(byte_level_character(127), "\u0121");
  EXPECT_EQ(byte_level_character(160), "\u0142");
  EXPECT_EQ(byte_level_character(173), "\u0143");
  EXPECT_EQ(byte_level_character(255), "\u00FF");
}

TEST(ByteLevel, RefusesCharactersOutsideTheAlphabet) {
  std::string out = "kept";
  for (const char* text : {"a b", "\n", "\u00A0", "\u00AD", "\u0144", "ab\u4E00", "\xFF"}) {
    EXPECT_FALSE(append_byte_level(text, out)) << text;
    EXPECT_EQ(out, "kept");
  }
}

}  // namespace
}  // namespace qasr
