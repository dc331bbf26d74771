#include "server/text_deltas.h"

#include <gtest/gtest.h>

#include <vector>

namespace qasr::server {
namespace {

// Everything that is sent for one segment's pieces and its final text.
std::string sent(const std::vector<std::string>& pieces, const std::string& final_text, bool withdrawn = false) {
  TextDeltas deltas;
  std::string joined;
  for (const std::string& piece : pieces) joined += deltas.update({.segment = 0, .piece = piece});
  if (withdrawn) joined += deltas.update({.segment = 0, .piece = final_text, .replaces = true});
  joined += deltas.end_segment(0, final_text);
  EXPECT_EQ(joined, deltas.text());
  return joined;
}

TEST(TextDeltas, PiecesJoinToTheText) {
  EXPECT_EQ(sent({"Good", " mor", "ning."}, "Good morning."), "Good morning.");
  EXPECT_EQ(sent({}, "all at once"), "all at once");
  EXPECT_EQ(sent({"你好", "世界"}, "你好世界"), "你好世界");
}

TEST(TextDeltas, SegmentsAreSeparatedAsInTheTranscript) {
  TextDeltas deltas;
  deltas.update({.segment = 0, .piece = "One."});
  deltas.end_segment(0, "One.");
  EXPECT_EQ(deltas.end_segment(1, ""), "");
  EXPECT_EQ(deltas.update({.segment = 2, .piece = "Two"}), " Two");
  EXPECT_EQ(deltas.end_segment(2, "Two."), ".");
  EXPECT_EQ(deltas.text(), "One. Two.");
}

TEST(TextDeltas, LoopsAreHeldBackAndSpeechThatRepeatsIsNot) {
  TextDeltas deltas;
  std::string joined = deltas.update({.segment = 0, .piece = "well, and so on"});
  for (int n = 0; n < 50; ++n) joined += deltas.update({.segment = 0, .piece = " and so on"});
  EXPECT_LE(joined.size(), std::string("well, and so on and so on").size());
  joined += deltas.update({.segment = 0, .piece = " until noon"});
  joined += deltas.end_segment(0, "well, and so on" + joined.substr(std::string("well, and so on").size()));
  EXPECT_EQ(joined, deltas.text());
  EXPECT_TRUE(joined.ends_with("until noon"));
}

TEST(TextDeltas, WithdrawnTextGoesOnAtTheLastCommonWord) {
  EXPECT_EQ(sent({"Hello world and so"}, "Hello world and then we go.", true), "Hello world and so then we go.");
  EXPECT_EQ(sent({"Hello wor"}, "Hello world.", true), "Hello world.");
  EXPECT_EQ(sent({"Hello world. And"}, "Hello world.", true), "Hello world. And");
}

TEST(TextDeltas, RepeatedTails) {
  EXPECT_EQ(repeated_tail_bytes("nothing repeats here"), 0u);
  EXPECT_EQ(repeated_tail_bytes("one two. one two. "), 9u);
  EXPECT_EQ(repeated_tail_bytes("all"), 0u);
  const std::string character = "\xE4\xBD\xA0\xE5\xA5\xBD";
  EXPECT_EQ(repeated_tail_bytes(character + character) % 3, 0u);
}

}  // namespace
}  // namespace qasr::server
