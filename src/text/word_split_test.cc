// Words of a text as the official aligner makes them (the tables were made with its own code), and their surfaces.
#include <gtest/gtest.h>

#include "qasr/align.h"
#include "qasr/error.h"
#include "qasr/languages.h"
#include "text/korean_particles.h"

namespace qasr {
namespace {

std::vector<std::string> texts(std::string_view text, const WordOptions& options = {}) {
  std::vector<std::string> words;
  for (const TextWord& word : split_words(text, options)) words.push_back(word.text);
  return words;
}

std::vector<std::string> surfaces(std::string_view text, const WordOptions& options = {}) {
  std::vector<std::string> parts;
  for (const TextWord& word : split_words(text, options)) parts.emplace_back(word.surface);
  return parts;
}

using List = std::vector<std::string>;

TEST(SplitWords, GeneralRuleIsTheOfficialOne) {
  EXPECT_EQ(texts("Hello, world! It's 3.5 o'clock."), (List{"Hello", "world", "It's", "35", "o'clock"}));
  EXPECT_EQ(texts("co-op re-use"), (List{"coop", "reuse"}));
  EXPECT_EQ(texts("don’t “quote”"), (List{"dont", "quote"}));
  EXPECT_EQ(texts("你好，世界 ABC中文def", {.language = "Chinese"}),
            (List{"你", "好", "世", "界", "ABC", "中", "文", "def"}));
  EXPECT_EQ(texts("C++ и Ёлка"), (List{"C", "и", "Ёлка"}));
  EXPECT_EQ(texts("123,456 ½ ² Ⅳ"), (List{"123456", "½", "²", "Ⅳ"}));
  EXPECT_EQ(texts("नमस्ते दुनिया", {.language = "Hindi", .marks = CombiningMarks::kDrop}), (List{"नमसत", "दनय"}));
}

TEST(SplitWords, IdeographsOfAllBlocksAreWordsKanaAndHangulAreNot) {
  EXPECT_EQ(texts("㐀一鿿豈𠀀𪜀𫝀𫠠"), (List{"㐀", "一", "鿿", "豈", "𠀀", "𪜀", "𫝀", "𫠠"}));
  EXPECT_EQ(texts("かな カナ 한글"), (List{"かな", "カナ", "한글"}));
  EXPECT_EQ(texts("3月5日", {.language = "yue"}), (List{"3", "月", "5", "日"}));
}

TEST(SplitWords, EveryUnicodeSpaceDivides) {
  EXPECT_EQ(texts("a\u00A0b\u2003c\u3000d\x1c"
                  "e\tf\ng"),
            (List{"a", "b", "c", "d", "e", "f", "g"}));
  EXPECT_EQ(texts("a\u200Bb"), (List{"ab"}));  // a format character, no space
}

TEST(SplitWords, MarksAreKeptOnRequestOrWhereAScriptNeedsThem) {
  EXPECT_EQ(texts("नमस्ते दुनिया", {.language = "hi"}), (List{"नमस्ते", "दुनिया"}));
  EXPECT_EQ(texts("नमस्ते"), (List{"नमस्ते"}));
  EXPECT_EQ(texts("สวัสดี ครับ", {.language = "Thai"}), (List{"สวัสดี", "ครับ"}));
  EXPECT_EQ(texts("e\u0301te\u0301"), (List{"ete"}));  // Latin: as the official package
  EXPECT_EQ(texts("e\u0301te\u0301", {.marks = CombiningMarks::kKeep}), (List{"e\u0301te\u0301"}));
  EXPECT_EQ(texts("\u0301a", {.language = "Hindi"}), (List{"a"}));  // a mark on nothing
}

TEST(SplitWords, JapaneseByTheDictionaryOfIcu) {
  const List words = texts("今日は、東京で会いましょう。", {.language = "Japanese"});
  EXPECT_GE(words.size(), 5u);
  EXPECT_EQ(words[0], "今日");
  EXPECT_EQ(words[1], "は");
  EXPECT_EQ(words[2], "東京");
  EXPECT_EQ(texts("カタカナ ABC 123", {.language = "ja"}), (List{"カタカナ", "ABC", "123"}));
}

TEST(SplitWords, KoreanParticlesAreWords) {
  const WordOptions korean{.language = "Korean"};
  EXPECT_EQ(texts("학교에서 친구를 만났다.", korean), (List{"학교", "에서", "친구", "를", "만났다"}));
  EXPECT_EQ(texts("서울로, 선생님은", korean), (List{"서울", "로", "선생님", "은"}));
  EXPECT_EQ(texts("나는 ABC를", korean), (List{"나는", "ABC를"}));  // stems of one syllable, and of other scripts
  EXPECT_EQ(surfaces("“학교에서” 친구를", korean), (List{"“학교", "에서” ", "친구", "를"}));
  EXPECT_EQ(korean_particle_length(U"친구을"), 0u);  // 을 wants a final consonant
  EXPECT_EQ(korean_particle_length(U""), 0u);
}

TEST(SplitWords, SurfacesCarryPunctuationAndSpaces) {
  EXPECT_EQ(surfaces("Hello, world!"), (List{"Hello, ", "world!"}));
  EXPECT_EQ(surfaces("  “Yes” (he said) — ok\n"), (List{"  “Yes” ", "(he ", "said) — ", "ok\n"}));
  EXPECT_EQ(surfaces("你好，世界「中」"), (List{"你", "好，", "世", "界", "「中」"}));
  EXPECT_EQ(surfaces("Il dit « bon » hier"), (List{"Il ", "dit ", "« bon » ", "hier"}));
  EXPECT_EQ(surfaces("„Hallo“ sagte ¿qué?"), (List{"„Hallo“ ", "sagte ", "¿qué?"}));
  EXPECT_EQ(surfaces("re\u0301 a"), (List{"re\u0301 ", "a"}));
}

TEST(SplitWords, SurfacesAreTheWholeText) {
  const std::string bad("\xff\xfe w\xc3(x \0y", 10);
  for (const std::string& text :
       {std::string("Hello, world! It's 3.5 o'clock."), std::string("... ,,, a ((( b ))) 「 c"), bad,
        std::string("'quoted' 'again'"), std::string("今日は、「東京」で会いましょう。 ABC"),
        std::string("학교에서, 친구를!")}) {
    for (const Language& language : languages()) {
      const std::vector<TextWord> words = split_words(text, {.language = std::string(language.name)});
      std::string joined;
      for (const TextWord& word : words) {
        joined += word.surface;
        EXPECT_FALSE(word.text.empty());
      }
      EXPECT_EQ(joined, text) << language.name;
    }
  }
}

TEST(SplitWords, TextsWithoutWords) {
  for (const char* text : {"", " ", "...", "—!? \n", "🎉"}) {
    EXPECT_TRUE(split_words(text).empty()) << text;
    EXPECT_TRUE(split_words(text, {.language = "Japanese"}).empty()) << text;
    EXPECT_TRUE(split_words(text, {.language = "Korean"}).empty()) << text;
  }
  EXPECT_EQ(texts("'"), (List{"'"}));  // the official rule keeps a lone apostrophe
}

TEST(SplitWords, UnknownLanguagesAreNamed) {
  try {
    split_words("a", {.language = "Klingon"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("Klingon"), std::string::npos);
  }
  EXPECT_TRUE(is_aligner_language("yue"));
  EXPECT_TRUE(is_aligner_language("german"));
  EXPECT_FALSE(is_aligner_language("Hindi"));
  EXPECT_FALSE(is_aligner_language(""));
}

}  // namespace
}  // namespace qasr
