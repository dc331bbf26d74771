#include "engine/repetition_guard.h"

#include <gtest/gtest.h>

namespace qasr {
namespace {

// Feeds `rounds` times the ids; returns the number of tokens after which the guard objected, 0 for never.
struct Outcome {
  Verdict verdict = Verdict::kHealthy;
  int after = 0;
};
Outcome feed(RepetitionGuard& guard, const std::vector<std::int32_t>& ids, int rounds) {
  int n = 0;
  for (int round = 0; round < rounds; ++round) {
    for (const std::int32_t id : ids) {
      ++n;
      const Verdict verdict = guard.add(id);
      if (verdict != Verdict::kHealthy) return {verdict, n};
    }
  }
  return {};
}

std::vector<std::int32_t> distinct(int n, int first = 100) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < n; ++i) ids.push_back(first + i);
  return ids;
}

TEST(RepetitionGuard, FindsLoopsOfEveryPeriodSoon) {
  for (const int period : {1, 2, 3, 4, 5, 8, 16, 17, 40, 64}) {
    RepetitionGuard guard({}, 2);
    feed(guard, distinct(10, 5000), 1);
    const Outcome outcome = feed(guard, distinct(period), 100);
    // 2 s of audio: 8 * 2 + 32 tokens are plausible; then 4 rounds of long periods must have been seen.
    EXPECT_GT(outcome.after, 0) << period;
    EXPECT_LE(outcome.after, std::max(96 - 10, 4 * period)) << period;
    if (outcome.verdict != Verdict::kLoops) {
      EXPECT_GT(4 * period, 64 + 16 * 2 - 10) << period;
      continue;
    }
    EXPECT_EQ(guard.loop().period, period);
    EXPECT_EQ(guard.loop().begin, 10U);
    EXPECT_NE(guard.describe(outcome.verdict).find(std::to_string(period) + " tokens"), std::string::npos);
  }
}

TEST(RepetitionGuard, LongAudioMayHoldARefrain) {
  RepetitionGuard guard({}, 30);
  EXPECT_EQ(feed(guard, distinct(12), 8).after, 0);       // a line sung eight times in 30 s
  EXPECT_EQ(feed(guard, distinct(60, 300), 1).after, 0);  // and what follows
}

TEST(RepetitionGuard, ManyRoundsAreALoopHoweverLongTheAudio) {
  RepetitionGuard guard({}, 1200);
  const Outcome outcome = feed(guard, {7}, 1000);
  EXPECT_EQ(outcome.verdict, Verdict::kLoops);
  EXPECT_EQ(outcome.after, 128);
}

TEST(RepetitionGuard, MoreTokensThanSpeechCanHoldRunOn) {
  RepetitionGuard guard({}, 3);
  const Outcome outcome = feed(guard, distinct(1000), 1);
  EXPECT_EQ(outcome.verdict, Verdict::kRunsOn);
  EXPECT_EQ(outcome.after, 64 + 16 * 3 + 1);
  EXPECT_NE(guard.describe(outcome.verdict).find("113 tokens in 3.0 s"), std::string::npos)
      << guard.describe(outcome.verdict);
  RepetitionGuard slow({.max_tokens_per_s = 4}, 3);
  EXPECT_EQ(feed(slow, distinct(1000), 1).after, 64 + 4 * 3 + 1);
}

TEST(RepetitionGuard, OrdinaryAnswersPass) {
  RepetitionGuard guard({}, 10);
  std::uint32_t seed = 1;
  for (int n = 0; n < 200; ++n) {
    seed = seed * 1664525U + 1013904223U;
    EXPECT_EQ(guard.add(static_cast<std::int32_t>((seed >> 16) % 50)), Verdict::kHealthy);
  }
}

TEST(RepetitionGuard, SwitchedOffItNeverObjects) {
  RepetitionGuard guard({.detect_repetition = false}, 1);
  EXPECT_EQ(feed(guard, {1}, 5000).after, 0);
}

}  // namespace
}  // namespace qasr
