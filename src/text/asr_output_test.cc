#include "text/asr_output.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/utf8.h"

namespace qasr {
namespace {

std::string repeat(std::string_view text, int n) {
  std::string out;
  for (int k = 0; k < n; ++k) out += text;
  return out;
}

struct ParseCase {
  std::string raw, forced_language, language, text;
};

TEST(ParseAsrOutput, MatchesTheOfficialPackage) {
  const std::vector<ParseCase> cases = {
      {"language English<asr_text>Hello world.", "", "English", "Hello world."},
      {"language None<asr_text>", "", "", ""},
      {"language None<asr_text> uh ", "", "", "uh"},
      {"LANGUAGE NONE\n<asr_text>uh", "", "", "uh"},
      {"language Nonesuch<asr_text>uh", "", "", "uh"},  // contains "language none"
      {"language Chinese\n<asr_text>你好", "", "Chinese", "你好"},
      {"Language FRENCH<asr_text>Salut", "", "French", "Salut"},
      {"language <asr_text>x", "", "", "x"},
      {"language<asr_text>x", "", "", "x"},
      {"<asr_text>x", "", "", "x"},
      {"foo<asr_text>bar<asr_text>baz", "", "", "bar<asr_text>baz"},
      {"foo\nlanguage English<asr_text>bar", "", "", "bar"},  // only the first line with text counts
      {"\n \u2028 language  german \nmore<asr_text>Ja", "", "German", "Ja"},
      {"language English\u0085more<asr_text>hi", "", "English", "hi"},
      {"language English,Chinese<asr_text>mix", "", "English,chinese", "mix"},
      {"language élan<asr_text>x", "", "Élan", "x"},
      {"language English", "", "", "language English"},
      {"plain text", "", "", "plain text"},
      {"", "", "", ""},
      {" \n\t ", "", "", ""},
      {" \n\t ", "German", "", ""},
      {"language English<asr_text>hi", "German", "German", "language English<asr_text>hi"},
      {"  Guten Tag. \n", "German", "German", "Guten Tag."},
  };
  for (const ParseCase& c : cases) {
    const AsrOutput output = parse_asr_output(c.raw, c.forced_language);
    EXPECT_EQ(output.language, c.language) << c.raw;
    EXPECT_EQ(output.text, c.text) << c.raw;
  }
}

TEST(ParseAsrOutput, CleansRepetitionsOfTheWholeAnswer) {
  const AsrOutput output = parse_asr_output("language English<asr_text>" + repeat("no ", 30) + repeat("!", 21), "");
  EXPECT_EQ(output.language, "English");
  EXPECT_EQ(output.text, "no !");
}

TEST(FixRepetitions, MatchesTheOfficialPackage) {
  const std::string pattern20 = "abcdefghijklmnopqrst", pattern21 = pattern20 + "u";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {repeat("a", 20), repeat("a", 20)},
      {repeat("a", 21), "a"},
      {repeat("ab", 19), repeat("ab", 19)},
      {repeat("ab", 20), "ab"},
      {repeat("ab", 20) + "a", "aba"},
      {std::string("x") + repeat("abc", 20) + "y" + repeat("de", 20) + "z", "xabcydez"},
      {repeat("the cat ", 21) + "end", "the cat end"},
      {repeat("no no ", 20), "no "},
      {repeat(pattern20, 20) + "!", pattern20 + "!"},
      {repeat(pattern21, 20) + "!", repeat(pattern21, 20) + "!"},
      {repeat("1", 25) + " " + repeat("2", 25), "1 2"},
      {repeat("哈", 21), "哈"},
      {repeat("哈嘿", 20) + "。", "哈嘿。"},
      {repeat("😀", 20), repeat("😀", 20)},
      // 20 equal characters survive the first step but are a pattern for the second if the text is long enough.
      {repeat("a", 20) + repeat("xyzw", 5), std::string("a") + repeat("xyzw", 5)},
      {repeat("a", 20) + repeat("xyzw", 4) + "xyz", repeat("a", 20) + repeat("xyzw", 4) + "xyz"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(fix_repetitions(text), expected) << text;
}

// The official algorithm as it is written there, recursion included.
std::u32string collapse_patterns_recursively(const std::u32string& s) {
  const std::size_t n = s.size(), threshold = 20;
  if (n < 2 * threshold) return s;
  std::u32string out;
  for (std::size_t i = 0; i + 2 * threshold <= n; ++i) {
    for (std::size_t k = 1; k <= 20 && i + k * threshold <= n; ++k) {
      std::size_t repeats = 1;
      while (i + (repeats + 1) * k <= n && s.compare(i + repeats * k, k, s, i, k) == 0) ++repeats;
      if (repeats < threshold) continue;
      return out + s.substr(i, k) + collapse_patterns_recursively(s.substr(i + repeats * k));
    }
    out += s[i];
  }
  return out + s.substr(n - 2 * threshold + 1);
}

TEST(FixRepetitions, AgreesWithTheRecursiveDefinition) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    while (text.size() < 150) {
      std::string pattern(1 + random() % 4, 'a');
      for (char& c : pattern) c = static_cast<char>('a' + random() % 2);
      text += repeat(pattern, static_cast<int>(random() % 24));
    }
    // No run of more than 20 equal characters, so that the first step changes nothing.
    bool has_long_run = false;
    for (const char c : {'a', 'b'}) has_long_run |= text.find(std::string(21, c)) != std::string::npos;
    if (has_long_run) continue;
    ASSERT_EQ(fix_repetitions(text), encode_utf8(collapse_patterns_recursively(decode_utf8(text)))) << text;
  }
}

TEST(JoinLanguages, DropsEmptiesAndConsecutiveDuplicates) {
  EXPECT_EQ(join_languages({"English", "English", "", "Chinese", "English"}), "English,Chinese,English");
  EXPECT_EQ(join_languages({"English", "", "English"}), "English");
  EXPECT_EQ(join_languages({"", " German ", "German"}), "German");
  EXPECT_EQ(join_languages({"", ""}), "");
  EXPECT_EQ(join_languages({}), "");
}

}  // namespace
}  // namespace qasr
