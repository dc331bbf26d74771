#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/utf8.h"
#include "text/tokenizer.h"

namespace qasr {
namespace {

TEST(Utf8Stream, HoldsBackIncompleteCharactersOnly) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("a\xC3"), "a");
  EXPECT_EQ(stream.feed("\xA9\xF0\x9F"), "é");
  EXPECT_EQ(stream.feed(""), "");
  EXPECT_EQ(stream.feed("\x98"), "");
  EXPECT_EQ(stream.feed("\x80!"), "😀!");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, ReplacesWhatCannotBecomeACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("\xE2\x82"), "");
  EXPECT_EQ(stream.feed("x"), "\uFFFDx");
  EXPECT_EQ(stream.feed("\xFF"), "\uFFFD");
  EXPECT_EQ(stream.feed("\xED\xA0"), "\uFFFD\uFFFD");  // a surrogate is wrong after its second byte
  EXPECT_EQ(stream.feed("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.feed("ok"), "ok");
}

// Bytes that make lead bytes, trail bytes and near misses frequent.
std::string random_bytes(std::mt19937& random) {
  static const std::string kFrequent = "a\x80\xBF\x90\x9F\xA0\xC0\xC2\xC3\xE0\xE2\xED\xEF\xF0\xF1\xF4\xF5\xFF";
  std::string bytes(random() % 14, '\0');
  for (char& byte : bytes) {
    byte = random() % 4 ? kFrequent[random() % kFrequent.size()] : static_cast<char>(random());
  }
  return bytes;
}

TEST(Utf8Stream, EverySplitGivesTheTextOfTheWhole) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const std::string bytes = random_bytes(random);
    const std::string whole = replace_invalid_utf8(bytes);
    // Bit k of `cuts`: a cut after byte k. All 2^n splits of short strings, random ones of the others.
    const unsigned n_splits = bytes.size() <= 9 ? 1u << bytes.size() : 256u;
    for (unsigned split = 0; split < n_splits; ++split) {
      const unsigned cuts = bytes.size() <= 9 ? split : static_cast<unsigned>(random());
      Utf8Stream stream;
      std::string streamed;
      std::size_t begin = 0;
      for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (!(cuts >> at & 1u)) continue;
        streamed += stream.feed(std::string_view(bytes).substr(begin, at + 1 - begin));
        ASSERT_TRUE(is_valid_utf8(streamed));
        begin = at + 1;
      }
      streamed += stream.feed(std::string_view(bytes).substr(begin));
      ASSERT_EQ(streamed + stream.finish(), whole) << testing::PrintToString(bytes) << " cuts " << cuts;
    }
  }
}

}  // namespace
}  // namespace qasr
