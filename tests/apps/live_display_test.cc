// The display on a fake terminal: widths, line breaks, partials drawn over, another size in between.
#include "live_display.h"

#include <gtest/gtest.h>

#include <string>

namespace qasr::app {
namespace {

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("né"), 2);
  EXPECT_EQ(display_width("ne\u0301"), 2) << "a combining accent takes no column";
  EXPECT_EQ(display_width("你好"), 4);
  EXPECT_EQ(display_width("한국"), 4);
  EXPECT_EQ(display_width("\xFF"), 1) << "ill-formed";
  EXPECT_EQ(display_width("\xE4\xBD"), 2) << "a part of a character";
  EXPECT_EQ(display_width("\t"), 0);
}

class LiveDisplayTest : public ::testing::Test {
 protected:
  std::string take() { return std::exchange(written_, ""); }
  LiveDisplay::Size size_{20, 5};
  std::string written_;
  LiveDisplay display_{[this] { return size_; }, [this](std::string_view bytes) { written_ += bytes; }};
};

TEST_F(LiveDisplayTest, APartialIsDimmedAndDrawnOver) {
  display_.commit("Hello");
  EXPECT_EQ(take(), "Hello");
  display_.show_partial(" word");
  EXPECT_EQ(take(), "\033[2m word\033[0m");
  display_.show_partial(" world");
  EXPECT_EQ(take(), "\r\033[5C\033[J\033[2m world\033[0m");
  display_.commit(" world");
  EXPECT_EQ(take(), "\r\033[5C\033[J world");
  display_.end_line();
  EXPECT_EQ(take(), "\r\n");
  display_.end_line();
  EXPECT_EQ(take(), "") << "no empty lines";
}

TEST_F(LiveDisplayTest, LinesBreakBeforeWordsAndPartialsAreTakenBackAcrossLines) {
  display_.commit("twelve chars");
  take();
  display_.show_partial(" and more of them here");
  EXPECT_EQ(take(), "\033[2m and \r\nmore of them here\033[0m");
  display_.show_partial("");
  EXPECT_EQ(take(), "\033[1A\r\033[12C\033[J");
}

TEST_F(LiveDisplayTest, WideCharactersBreakByColumns) {
  display_.commit("一二三四五六七八九十");  // 20 columns, 19 are used
  EXPECT_EQ(take(), "一二三四五六七八九\r\n十");
}

TEST_F(LiveDisplayTest, APartialIsNoTallerThanTheScreen) {
  std::string text;
  for (int word = 0; word < 40; ++word) text += "partial ";
  display_.show_partial(text);
  const std::string drawn = take();
  int n_breaks = 0;
  for (std::size_t at = 0; (at = drawn.find("\r\n", at)) != std::string::npos; ++at) ++n_breaks;
  EXPECT_EQ(n_breaks, 3);
}

TEST_F(LiveDisplayTest, AnotherSizeBeginsALine) {
  display_.commit("Hello");
  display_.show_partial(" world");
  take();
  size_ = {40, 10};
  display_.commit(" world");
  EXPECT_EQ(take(), "\033[J\r\nworld");
}

TEST_F(LiveDisplayTest, ControlCharactersAreLeftOut) {
  display_.commit("a\033[2Jb\nc");
  EXPECT_EQ(take(), "a[2Jbc");
}

}  // namespace
}  // namespace qasr::app
