// Times from classes: the official correction against the table that its own code gave, and what the repair promises.
#include "model/time_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace qasr {
namespace {

using ::testing::DoubleNear;
using List = std::vector<int>;

List fixed(const List& times_ms) { return fix_timestamps(times_ms); }

TEST(FixTimestamps, OfficialTable) {
  EXPECT_EQ(fixed({80, 4000, 160, 240}), (List{80, 80, 160, 240}));
  EXPECT_EQ(fixed({80, 160, 0, 400}), (List{80, 160, 160, 400}));
  EXPECT_EQ(fixed({80, 160, 240, 320, 0, 0, 0, 800, 880, 960, 1040}),
            (List{80, 160, 240, 320, 440, 560, 680, 800, 880, 960, 1040}));
  EXPECT_EQ(fixed({500, 80, 160}), (List{80, 80, 160}));
  EXPECT_EQ(fixed({400, 80, 80, 480}), (List{80, 80, 80, 480}));
  EXPECT_EQ(fixed({160, 80}), (List{160, 160}));
  EXPECT_EQ(fixed({5000, 4000, 3000}), (List{5000, 5000, 5000}));
  EXPECT_EQ(fixed({80, 160, 9000, 9000, 240, 320}), (List{80, 160, 9000, 9000, 9000, 9000}));
  EXPECT_EQ(fixed({80, 160, 240, 0, 0, 0}), (List{80, 160, 240, 240, 240, 240}));
  EXPECT_EQ(fixed({0, 0, 80, 80, 80, 160}), (List{0, 0, 80, 80, 80, 160}));
  EXPECT_EQ(fixed({}), List{});
}

// Scores of slots that put probability `p` on a class each and share the rest evenly.
SlotScores scores_at(const List& classes, int n_audio_classes, int n_classes, double p = 0.9) {
  SlotScores scores{.n_audio_classes = n_audio_classes, .width = std::min(n_classes, n_audio_classes + 1)};
  for (const int best : classes) {
    const float rest = static_cast<float>(std::log((1 - p) / (n_classes - 1)));
    for (int c = 0; c < scores.width; ++c) {
      scores.logits.push_back(c == best ? static_cast<float>(std::log(p)) : rest);
    }
    scores.log_sum.push_back(0);
    scores.best.push_back(best);
  }
  return scores;
}

std::vector<WordTime> repaired(const SlotScores& scores, double duration_s) {
  const List weights(scores.n_slots() / 2, 4);
  return repaired_times(scores, scores.n_slots() / 2, weights, duration_s);
}

void expect_in_order(const std::vector<WordTime>& words, double duration_s, double least_s) {
  double last = 0;
  for (const WordTime& word : words) {
    EXPECT_GE(word.start_s, last);
    EXPECT_GE(word.end_s, word.start_s + least_s);
    EXPECT_LE(word.end_s, duration_s);
    EXPECT_TRUE(word.confidence >= 0 && word.confidence <= 1) << word.confidence;
    last = word.end_s;
  }
}

TEST(RepairedTimes, CertainClassesStay) {
  const std::vector<WordTime> words = repaired(scores_at({2, 5, 5, 9, 12, 20}, 26, 100), 2.0);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_THAT(words[0].start_s, DoubleNear(0.16, 1e-3));
  EXPECT_THAT(words[1].start_s, DoubleNear(0.40, 1e-3));
  EXPECT_THAT(words[2].end_s, DoubleNear(1.60, 1e-3));
  for (const WordTime& word : words) EXPECT_GT(word.confidence, 0.9);
  expect_in_order(words, 2.0, 0.04);
}

TEST(RepairedTimes, GarbageBehindTheEndOfTheAudioDoesNotWin) {
  const SlotScores scores = scores_at({1, 2, 112, 112, 3, 4}, 11, 200);  // a row of the official table
  const std::vector<WordTime> words = repaired(scores, 0.8);
  EXPECT_THAT(words[0].start_s, DoubleNear(0.08, 0.02));
  EXPECT_THAT(words[2].start_s, DoubleNear(0.24, 0.02));
  EXPECT_THAT(words[2].end_s, DoubleNear(0.32, 0.02));
  EXPECT_LT(words[1].confidence, 0.1);
  expect_in_order(words, 0.8, 0);
  const std::vector<WordTime> official = official_times(scores, 3);
  EXPECT_EQ(official[2].end_s, 112 * 0.08);
}

TEST(RepairedTimes, WordsWithoutLengthGetAClass) {
  expect_in_order(repaired(scores_at({3, 3, 3, 3, 3, 3, 10, 10}, 20, 50), 1.5), 1.5, 0.03);
}

TEST(RepairedTimes, PlateausAreSpreadBetweenWhatIsKnown) {
  // Six words that the model puts at the beginning, where two others are.
  const std::vector<WordTime> words =
      repaired(scores_at({2, 4, 5, 7, 0, 0, 0, 0, 0, 0, 0, 0, 60, 63}, 80, 5000, 0.999), 6.3);
  expect_in_order(words, 6.3, 0.1);
  EXPECT_GT(words[4].end_s, 3);
  EXPECT_THAT(words[6].start_s, DoubleNear(4.8, 0.01));
}

TEST(RepairedTimes, NothingKnownIsSpreadOverTheAudio) {
  const std::vector<WordTime> words = repaired(scores_at(List(20, 4000), 100, 5000, 0.9999), 8.0);
  expect_in_order(words, 8.0, 0.2);
  EXPECT_GT(words.back().end_s, 7);
}

TEST(RepairedTimes, MoreWordsThanClasses) {
  expect_in_order(repaired(scores_at(List(400, 3), 6, 50), 0.4), 0.4, 0);
  expect_in_order(repaired(scores_at(List(4, 0), 1, 50), 0.0), 0.0, 0);  // no audio
}

TEST(RepairedTimes, NeighboursMoveTheTime) {
  SlotScores scores = scores_at({4, 9}, 20, 21, 0.6);
  scores.logits[5] = static_cast<float>(std::log(0.38));  // class 5 of the start
  const std::vector<WordTime> words = repaired(scores, 1.6);
  EXPECT_THAT(words[0].start_s, DoubleNear((4 + 0.38 - 0.02) * 0.08, 2e-3));
  EXPECT_THAT(words[0].confidence, DoubleNear(std::sqrt(1.0 * 0.64), 0.02));
}

}  // namespace
}  // namespace qasr
