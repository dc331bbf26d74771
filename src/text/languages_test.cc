#include "qasr/languages.h"

#include <gtest/gtest.h>

#include <set>

#include "text/language_name.h"

namespace qasr {
namespace {

TEST(Languages, ThirtyWithDistinctNamesAndCodes) {
  std::set<std::string_view> names, codes;
  for (const Language& language : languages()) {
    names.insert(language.name);
    codes.insert(language.code);
    EXPECT_EQ(normalize_language_name(language.name), language.name);
  }
  EXPECT_EQ(languages().size(), 30u);
  EXPECT_EQ(names.size(), 30u);
  EXPECT_EQ(codes.size(), 30u);
  EXPECT_EQ(languages().front().name, "Chinese");
  EXPECT_EQ(languages().back().name, "Macedonian");
}

TEST(Languages, FoundByNameOrCodeIgnoringCaseAndOuterSpace) {
  for (const char* text : {"German", "german", "GERMAN", " German\n", "de", "DE", "\tDe "}) {
    const auto found = find_language(text);
    ASSERT_TRUE(found.has_value()) << text;
    EXPECT_EQ(found->name, "German");
    EXPECT_EQ(found->code, "de");
  }
  EXPECT_EQ(find_language("yue")->name, "Cantonese");
  EXPECT_EQ(find_language("FIL")->name, "Filipino");
  EXPECT_EQ(find_language("Macedonian")->code, "mk");
  for (const Language& language : languages()) {
    EXPECT_EQ(find_language(language.code)->name, language.name);
    EXPECT_EQ(find_language(language.name)->code, language.code);
  }
}

TEST(Languages, UnknownNamesGiveNothing) {
  for (const char* text : {"", " ", "auto", "None", "Klingon", "Germ an", "Germany", "eng", "d", "Wu", "\xFF"}) {
    EXPECT_FALSE(find_language(text).has_value()) << text;
  }
}

TEST(Languages, NamesAreNormalised) {
  EXPECT_EQ(normalize_language_name(""), "");
  EXPECT_EQ(normalize_language_name(" \t"), "");
  EXPECT_EQ(normalize_language_name("  ENGLISH \n"), "English");
  EXPECT_EQ(normalize_language_name("english"), "English");
  EXPECT_EQ(normalize_language_name("e"), "E");
  EXPECT_EQ(normalize_language_name("English,Chinese"), "English,chinese");
  EXPECT_EQ(normalize_language_name("ÉLAN"), "Élan");
  EXPECT_EQ(normalize_language_name("ΕΛΛΗΝΙΚΆ"), "Ελληνικά");
  EXPECT_EQ(normalize_language_name("中文"), "中文");
}

}  // namespace
}  // namespace qasr
