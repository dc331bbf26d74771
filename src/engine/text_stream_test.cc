#include "engine/text_stream.h"

#include <gtest/gtest.h>

#include <vector>

namespace qasr {
namespace {

// Feeds the answer in pieces of `size` bytes and returns everything shown before finish().
std::string feed_all(TranscriptStream& stream, std::string_view raw, std::size_t size) {
  std::string shown;
  for (std::size_t begin = 0; begin < raw.size(); begin += size) shown += stream.feed(raw.substr(begin, size));
  return shown;
}

TEST(TranscriptStream, ShowsNothingBeforeTheTag) {
  TranscriptStream stream(false);
  EXPECT_EQ(stream.feed("language English"), "");
  EXPECT_EQ(stream.feed("<asr_text>"), "");
  EXPECT_EQ(stream.feed("Hello"), "Hello");
}

TEST(TranscriptStream, AnySplitGivesTheSameText) {
  const std::string raw = "language Chinese<asr_text> 你好, wörld  again \n";
  const std::string text = "你好, wörld  again";
  for (std::size_t size = 1; size <= raw.size(); ++size) {
    TranscriptStream stream(false);
    std::string shown = feed_all(stream, raw, size);
    EXPECT_EQ(text.compare(0, shown.size(), shown), 0) << size;
    shown += stream.finish(text);
    EXPECT_EQ(shown, text) << size;
  }
}

TEST(TranscriptStream, ForcedLanguageStartsWithText) {
  TranscriptStream stream(true);
  EXPECT_EQ(stream.feed(" Hi"), "Hi");
  EXPECT_EQ(stream.feed(" there "), " there");
  EXPECT_EQ(stream.finish("Hi there"), "");
}

TEST(TranscriptStream, AnswerWithoutTagIsShownAtTheEnd) {
  TranscriptStream stream(false);
  EXPECT_EQ(feed_all(stream, "plain text", 3), "");
  EXPECT_EQ(stream.finish("plain text"), "plain text");
}

TEST(TranscriptStream, CleanUpOfShownTextAddsNothing) {
  TranscriptStream stream(true);
  const std::string run(30, 'a');
  EXPECT_EQ(stream.feed(run), run);
  EXPECT_EQ(stream.finish("a"), "");
}

TEST(TranscriptStream, HoldsBackIncompleteCharacters) {
  TranscriptStream stream(true);
  EXPECT_EQ(stream.feed("\xe4\xbd"), "");
  EXPECT_EQ(stream.feed("\xa0"), "你");
}

}  // namespace
}  // namespace qasr
