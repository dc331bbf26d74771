// The matcher against hand-made cuts (made with the regular expression in Hugging Face tokenizers) and, on random
// text, against the same expression run by ICU.
#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>
#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <random>
#include <string>
#include <vector>

#include "base/utf8.h"

namespace qasr {
namespace {

using Pieces = std::vector<std::string>;

Pieces cut(std::string_view text) {
  Pieces pieces;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = next_pre_token(text, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

TEST(PreTokenizer, Contractions) {
  EXPECT_EQ(cut("it's"), (Pieces{"it", "'s"}));
  EXPECT_EQ(cut("IT'S WE'RE"), (Pieces{"IT", "'S", " WE", "'RE"}));
  EXPECT_EQ(cut("we'll've"), (Pieces{"we", "'ll", "'ve"}));
  EXPECT_EQ(cut("'tis"), (Pieces{"'t", "is"}));
  EXPECT_EQ(cut("'rx 'lx 'v"), (Pieces{"'rx", " '", "lx", " '", "v"}));
  EXPECT_EQ(cut("don\u2019t"), (Pieces{"don", "\u2019t"}));
  EXPECT_EQ(cut("a'\u017Fx"), (Pieces{"a", "'\u017F", "x"}));
  EXPECT_EQ(cut("'"), (Pieces{"'"}));
  EXPECT_EQ(cut("x'"), (Pieces{"x", "'"}));
}

TEST(PreTokenizer, DigitsStandAlone) {
  EXPECT_EQ(cut("12 3"), (Pieces{"1", "2", " ", "3"}));
  EXPECT_EQ(cut("a1b²½Ⅳ٣"), (Pieces{"a", "1", "b", "²", "½", "Ⅳ", "٣"}));
}

TEST(PreTokenizer, OneCharacterMayLeadAWord) {
  EXPECT_EQ(cut("(foo)bar"), (Pieces{"(foo", ")bar"}));
  EXPECT_EQ(cut("\u00A0x\u3000y"), (Pieces{"\u00A0x", "\u3000y"}));
  EXPECT_EQ(cut("((foo"), (Pieces{"((", "foo"}));
  EXPECT_EQ(cut("\tx"), (Pieces{"\tx"}));
  EXPECT_EQ(cut("\nx"), (Pieces{"\n", "x"}));
}

TEST(PreTokenizer, SymbolsTakeOneSpaceBeforeAndLineBreaksAfter) {
  EXPECT_EQ(cut("hi!\n\r\nx"), (Pieces{"hi", "!\n\r\n", "x"}));
  EXPECT_EQ(cut("a  --> b"), (Pieces{"a", " ", " -->", " b"}));
  EXPECT_EQ(cut("\u00A0-"), (Pieces{"\u00A0", "-"}));
  EXPECT_EQ(cut("नमस्ते"), (Pieces{"नमस", "्त", "े"}));  // vowel signs are not letters, the virama neither
  EXPECT_EQ(cut(std::string_view("x\0y", 3)), (Pieces{"x", std::string("\0y", 2)}));
}

TEST(PreTokenizer, WhiteSpace) {
  EXPECT_EQ(cut("   "), (Pieces{"   "}));
  EXPECT_EQ(cut("a   b"), (Pieces{"a", "  ", " b"}));
  EXPECT_EQ(cut("a   1"), (Pieces{"a", "  ", " ", "1"}));
  EXPECT_EQ(cut(" \n \n  x"), (Pieces{" \n \n", " ", " x"}));
  EXPECT_EQ(cut("\n \n "), (Pieces{"\n \n", " "}));
  EXPECT_EQ(cut("\r\n"), (Pieces{"\r\n"}));
  EXPECT_EQ(cut("a\u0085\u0085b"), (Pieces{"a", "\u0085", "\u0085b"}));
  EXPECT_EQ(cut("\u2028\u2029\u205F1"), (Pieces{"\u2028\u2029", "\u205F", "1"}));
  EXPECT_EQ(cut("\u200B\u200Bb"), (Pieces{"\u200B\u200B", "b"}));  // zero-width space is a symbol here
}

// ICU's engine has the same syntax; only its (?i:s) and \s are checked to mean the same by the tests above.
class IcuCutter {
 public:
  Pieces cut(const std::string& text) {
    const auto subject = icu::UnicodeString::fromUTF8(text);
    matcher_.reset(subject);
    Pieces pieces;
    while (matcher_.find(status_) && U_SUCCESS(status_)) {
      std::string piece;
      matcher_.group(status_).toUTF8String(piece);
      pieces.push_back(piece);
    }
    EXPECT_TRUE(U_SUCCESS(status_)) << u_errorName(status_);
    return pieces;
  }

 private:
  UErrorCode status_ = U_ZERO_ERROR;
  icu::RegexMatcher matcher_{icu::UnicodeString::fromUTF8(std::string(kPreTokenizerRegex)), 0, status_};
};

TEST(PreTokenizer, AgreesWithARegexEngineOnRandomText) {
  const std::u32string alphabet =
      U"aZsStTrReEvVmMlLdD''''  \n\r\t  12²٣é日नि्่.,!-_(\"’\u00A0\u3000\u2028\u0085\u200D😀\u0301\u017F\U00010400";
  IcuCutter icu_cutter;
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::u32string characters(1 + random() % 16, U' ');
    for (char32_t& c : characters) c = alphabet[random() % alphabet.size()];
    const std::string text = encode_utf8(characters);
    ASSERT_EQ(cut(text), icu_cutter.cut(text)) << testing::PrintToString(text);
  }
}

TEST(PreTokenizer, EveryCodePointIsConsumedWhole) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(next_pre_token(text, 0), text.size()) << static_cast<std::uint32_t>(c);
  }
}

}  // namespace
}  // namespace qasr
