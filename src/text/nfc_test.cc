#include "text/nfc.h"

#include <gtest/gtest.h>

namespace qasr {
namespace {

std::string nfc(std::string_view text) {
  std::string storage;
  return std::string(to_nfc(text, storage));
}

TEST(Nfc, ComposesAndReorders) {
  EXPECT_EQ(nfc("e\u0301cole"), "\u00E9cole");
  EXPECT_EQ(nfc("\u212B"), "\u00C5");              // angstrom sign
  EXPECT_EQ(nfc("\u1100\u1161\u11A8"), "\uAC01");  // Hangul jamo
  EXPECT_EQ(nfc("a\u0323\u0302"), "\u1EAD");       // two marks
  EXPECT_EQ(nfc("a\u0302\u0323"), "\u1EAD");       // the same, in the other order
  EXPECT_EQ(nfc("\uFB01"), "\uFB01");              // a compatibility ligature stays
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093C");        // a composition exclusion
  EXPECT_EQ(nfc(""), "");
}

TEST(Nfc, NormalTextIsNotCopied) {
  for (const std::string text : {"plain ASCII", "na\u00EFve \u65E5\u672C\u8A9E"}) {
    std::string storage;
    EXPECT_EQ(to_nfc(text, storage).data(), text.data());
    EXPECT_TRUE(storage.empty());
  }
}

}  // namespace
}  // namespace qasr
