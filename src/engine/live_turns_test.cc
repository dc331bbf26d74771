#include "engine/live_turns.h"

#include <gtest/gtest.h>

namespace qasr {
namespace {

// Live steps without a pause, of 5 ms each, beside pieces of 20 ms: a tenth of the time is for the pieces.
TEST(LiveTurns, OfflineWorkHasItsShareBesideEndlessLiveWork) {
  LiveTurns turns;
  double live_ms = 0, offline_ms = 0;
  for (int n = 0; n < 10000; ++n) {
    if (turns.is_offline_turn()) {
      turns.add_offline(20);
      offline_ms += 20;
    } else {
      turns.add_live(5);
      live_ms += 5;
    }
  }
  EXPECT_NEAR(offline_ms / (live_ms + offline_ms), LiveTurns::kOfflineShare, 0.005);
}

// What is saved up in one burst of live work is not spent in the next.
TEST(LiveTurns, ShortBurstsAreNotInterrupted) {
  LiveTurns turns;
  turns.add_live(1000);
  EXPECT_TRUE(turns.is_offline_turn());
  turns.add_offline(20);
  for (int burst = 0; burst < 100; ++burst) {
    turns.reset();
    for (int step = 0; step < 10; ++step) {
      EXPECT_FALSE(turns.is_offline_turn());
      turns.add_live(10);
    }
  }
}

}  // namespace
}  // namespace qasr
