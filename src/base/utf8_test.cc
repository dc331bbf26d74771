#include "base/utf8.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace qasr {
namespace {

using namespace std::string_literals;

const std::string kFffd = "\xEF\xBF\xBD";

std::string repeat(const std::string& text, int n) {
  std::string out;
  for (int k = 0; k < n; ++k) out += text;
  return out;
}

TEST(Utf8, EveryScalarValueSurvivesEncodingAndDecoding) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Char decoded = decode_utf8_char(text);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.n_bytes, text.size());
    ASSERT_EQ(decoded.status, Utf8Status::kValid);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(decode_utf8_char(std::string_view(text).substr(0, cut)).status, Utf8Status::kTruncated);
      ASSERT_EQ(n_incomplete_utf8_bytes(std::string_view(text).substr(0, cut)), cut);
    }
    ASSERT_EQ(n_incomplete_utf8_bytes(text), 0u);
  }
}

// Expected values: bytes.decode("utf-8", errors="replace") of CPython 3.11.
TEST(Utf8, ReplacesMaximalSubparts) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"abc", "abc"},
      {"\x80", kFffd},
      {"\xBF\x80", repeat(kFffd, 2)},
      {"\xC0\xAF", repeat(kFffd, 2)},          // overlong '/'
      {"\xC1\xBF", repeat(kFffd, 2)},          //
      {"\xE0\x80\xAF", repeat(kFffd, 3)},      // overlong: E0 allows A0..BF only
      {"\xE0\xA0", kFffd},                     // truncated: one replacement for two bytes
      {"\xED\xA0\x80", repeat(kFffd, 3)},      // U+D800
      {"\xED\xBF\xBF", repeat(kFffd, 3)},      // U+DFFF
      {"\xF0\x80\x80\xAF", repeat(kFffd, 4)},  // overlong
      {"\xF0\x9F\x98", kFffd},                 // truncated emoji
      {"\xF0\x9F\x98z", kFffd + "z"},          //
      {"\xF4\x90\x80\x80", repeat(kFffd, 4)},  // U+110000
      {"\xF5\x80\x80\x80", repeat(kFffd, 4)},  //
      {"\xFE\xFF", repeat(kFffd, 2)},          //
      {"a\xF1\x80\x80\xE1\x80\xC2z", std::string("a") + repeat(kFffd, 3) + "z"},
      {"\xE2\x82\xE2\x82\xAC", kFffd + "\xE2\x82\xAC"},
      {"x\0y\xC3"s, "x\0y"s + kFffd},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(replace_invalid_utf8(bytes), expected) << testing::PrintToString(bytes);
    EXPECT_EQ(encode_utf8(decode_utf8(bytes)), expected) << testing::PrintToString(bytes);
    EXPECT_EQ(is_valid_utf8(bytes), bytes == expected);
  }
}

TEST(Utf8, RepairedRandomBytesAreValidAndStable) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::string repaired = replace_invalid_utf8(bytes);
    ASSERT_TRUE(is_valid_utf8(repaired));
    ASSERT_EQ(replace_invalid_utf8(repaired), repaired);
    ASSERT_LE(n_incomplete_utf8_bytes(bytes), 3u);
  }
}

TEST(Utf8, StripsWhatPythonStrips) {
  EXPECT_EQ(strip_space(""), "");
  EXPECT_EQ(strip_space(" \t\r\n\v\f"), "");
  EXPECT_EQ(strip_space("  a b  "), "a b");
  EXPECT_EQ(strip_space("\x1C\x1D\x1E\x1F"
                        "a\x1F"),
            "a");
  EXPECT_EQ(strip_space("\u00A0\u1680\u2000\u200A\u2028\u2029\u202F\u205F\u3000\u0085x\u3000\u0085"), "x");
  EXPECT_EQ(strip_space("\u200Bx\uFEFF"), "\u200Bx\uFEFF");  // zero-width space and BOM are not white space
  EXPECT_EQ(strip_space("x\xA0"), "x\xA0");                  // a stray trail byte, not U+00A0
  EXPECT_EQ(strip_space("\xC2\xA0\xA0"), "\xA0");
  EXPECT_EQ(strip_space("\xA0\xA0\xA0\xA0\xA0"), "\xA0\xA0\xA0\xA0\xA0");
}

}  // namespace
}  // namespace qasr
