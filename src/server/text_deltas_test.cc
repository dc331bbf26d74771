#include "server/text_deltas.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/utf8.h"

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

// Whatever the engine shows, takes back and ends with: what is sent at a time is whole characters, and it joins.
TEST(TextDeltas, CharactersAreNeverSplit) {
  std::mt19937 random(5);
  const std::vector<std::string> parts = {
      "a", " b", "\xC3\xA9", "\xE4\xBD\xA0", "\xE4\xBD\xA1", " \xE3\x81\x82", "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x81",
      "."};
  const auto text = [&](std::size_t n) {
    std::string all;
    for (std::size_t k = 0; k < n; ++k) all += parts[random() % parts.size()];
    return all;
  };
  std::size_t n_withdrawn = 0;
  for (int round = 0; round < 3000; ++round) {
    TextDeltas deltas;
    std::string joined;
    const auto sent = [&](const std::string& piece) {
      EXPECT_TRUE(is_valid_utf8(piece)) << round << ": " << piece;
      joined += piece;
    };
    for (std::size_t segment = 0; segment < 2; ++segment) {
      std::string shown;
      for (int n = 0; n < 6; ++n) {
        const std::string piece = random() % 3 == 0 && !shown.empty() ? shown : text(1 + random() % 4);
        const bool replaces = random() % 8 == 0;
        n_withdrawn += replaces ? 1 : 0;
        sent(deltas.update({.segment = segment, .piece = piece, .replaces = replaces}));
        shown = replaces ? piece : shown + piece;
      }
      sent(deltas.end_segment(segment, random() % 4 == 0 ? text(6) : shown));
    }
    EXPECT_EQ(joined, deltas.text()) << round;
  }
  EXPECT_GT(n_withdrawn, 1000U);
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
