#include "engine/load_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qasr {
namespace {

using std::chrono::milliseconds;

TEST(LoadProgress, SpeaksOnceASecondAndNotAtAllWhenFast) {
  std::vector<std::string> lines;
  const LoadProgress::Clock::time_point start{};
  LoadProgress progress(
      1000, [&](std::string_view line) { lines.emplace_back(line); }, start);
  progress.add(300, start + milliseconds(999));
  EXPECT_TRUE(lines.empty());
  progress.add(135, start + milliseconds(1001));
  progress.add(100, start + milliseconds(1900));
  progress.add(100, start + milliseconds(2100));
  EXPECT_THAT(lines, testing::ElementsAre("packing weights: 43 %", "packing weights: 63 %"));
}

TEST(LoadProgress, NobodyListens) {
  const LoadProgress::Clock::time_point start{};
  LoadProgress progress(0, {}, start);
  progress.add(1, start + milliseconds(5000));
}

}  // namespace
}  // namespace qasr
