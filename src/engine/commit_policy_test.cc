#include "engine/commit_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "text/small_tokenizer_for_test.h"

namespace qasr {
namespace {

constexpr std::int32_t kTextTag = 302;  // "<asr_text>" of the small tokenizer

// A token per byte.
std::vector<std::int32_t> ids(std::string_view text) {
  std::vector<std::int32_t> all;
  for (const char c : text) all.push_back(static_cast<unsigned char>(c));
  return all;
}

class CommitTrackerTest : public ::testing::Test {
 protected:
  CommitTracker tracker(CommitSettings settings, bool forced_language = true) const {
    return {settings, tokenizer_, forced_language};
  }
  // With tokens that are sure.
  static std::size_t add(CommitTracker& tracker, const std::vector<std::int32_t>& hypothesis) {
    return tracker.add(hypothesis, std::vector<float>(hypothesis.size(), 0.0F));
  }
  // With one token that has this probability.
  static std::size_t add(CommitTracker& tracker, std::string_view text, std::size_t token, double probability) {
    std::vector<float> log_probs(text.size(), 0.0F);
    log_probs[token] = static_cast<float>(std::log(probability));
    return tracker.add(ids(text), log_probs);
  }
  const Tokenizer tokenizer_{SmallTokenizer().files()};
};

TEST_F(CommitTrackerTest, WholeWordsThatTwoHypothesesShare) {
  CommitTracker t = tracker({.agreement = 2});
  EXPECT_EQ(add(t, ids("one two thr")), 0U);
  EXPECT_EQ(add(t, ids("one two three f")), std::string("one two").size());  // "thr" may be prolonged
  EXPECT_EQ(add(t, ids("one two three four")), std::string("one two three").size());
  EXPECT_EQ(t.n_committed(), std::string("one two three").size());
}

TEST_F(CommitTrackerTest, ALastWordThatAgreesMayStillBeCutOffByTheAudio) {
  CommitTracker t = tracker({.agreement = 2});
  add(t, ids("one two."));
  EXPECT_EQ(add(t, ids("one two.")), std::string("one").size());
}

TEST_F(CommitTrackerTest, ThreeMustAgreeWhereThreeAreAskedFor) {
  CommitTracker t = tracker({.agreement = 3});
  EXPECT_EQ(add(t, ids("one two three")), 0U);
  EXPECT_EQ(add(t, ids("one two three")), 0U);
  EXPECT_EQ(add(t, ids("one too three")), std::string("one").size());
  EXPECT_EQ(add(t, ids("one two three")), std::string("one").size());
  EXPECT_EQ(add(t, ids("one two three")), std::string("one").size()) << "one of the last three disagrees";
  EXPECT_EQ(add(t, ids("one two three")), std::string("one two").size());
}

TEST_F(CommitTrackerTest, OneHypothesisIsEnoughWhereOneIsAskedFor) {
  CommitTracker t = tracker({.agreement = 1});
  EXPECT_EQ(add(t, ids("one two three")), std::string("one two").size());
}

TEST_F(CommitTrackerTest, FromAnUnsureWordOnTwiceAsManyMustAgree) {
  const std::size_t in_two = std::string_view("one t").size(), one = std::string_view("one").size();
  CommitTracker t = tracker({.agreement = 2});
  EXPECT_EQ(add(t, "one two three", in_two, 0.49), 0U);
  EXPECT_EQ(add(t, "one two three", in_two, 0.49), one) << "half a word is not committed, nor what follows it";
  EXPECT_EQ(add(t, "one two three", in_two, 0.49), one);
  EXPECT_EQ(add(t, "one two three", in_two, 0.49), std::string("one two").size()) << "four agree";
}

TEST_F(CommitTrackerTest, AnUnsureWordThatBecomesSureNeedsNoMoreThanAnyOther) {
  const std::size_t in_two = std::string_view("one t").size(), one = std::string_view("one").size();
  CommitTracker t = tracker({.agreement = 2});
  add(t, "one two three", in_two, 0.2);
  EXPECT_EQ(add(t, "one two three", in_two, 0.2), one);
  EXPECT_EQ(add(t, "one two three", in_two, 0.51), std::string("one two").size());
}

TEST_F(CommitTrackerTest, AnUnsureWordThatChangesBeginsAgain) {
  const std::size_t in_two = std::string_view("one t").size(), one = std::string_view("one").size();
  CommitTracker t = tracker({.agreement = 2});
  for (int step = 0; step < 3; ++step) add(t, "one two three", in_two, 0.2);
  EXPECT_EQ(add(t, "one too three", in_two, 0.2), one);
  EXPECT_EQ(add(t, "one too three", in_two, 0.2), one);
}

TEST_F(CommitTrackerTest, AtAPauseEverythingButPunctuationAtTheEnd) {
  CommitTracker t = tracker({.agreement = 2});
  EXPECT_EQ(add(t, ids("one, two.")), 0U);
  EXPECT_EQ(t.at_pause(ids("one, two.")), std::string("one, two").size());
  EXPECT_EQ(t.at_pause(ids("one, two")), std::string("one, two").size());
}

TEST_F(CommitTrackerTest, NothingBeforeThereIsText) {
  std::vector<std::int32_t> hypothesis = ids("language English");
  CommitTracker t = tracker({.agreement = 1}, false);
  EXPECT_EQ(add(t, hypothesis), 0U);
  hypothesis.push_back(kTextTag);
  EXPECT_EQ(add(t, hypothesis), 0U);
  const std::size_t n_tag = hypothesis.size();
  for (const std::int32_t id : ids("one two")) hypothesis.push_back(id);
  EXPECT_EQ(add(t, hypothesis), n_tag + std::string("one").size());
}

TEST_F(CommitTrackerTest, OfficialRuleKeepsTheLastTokensOpenAndNoCharacterInTwo) {
  CommitTracker t = tracker({.policy = CommitPolicy::kOfficial, .unfixed_chunks = 2, .unfixed_tokens = 5});
  EXPECT_EQ(add(t, ids("one two three")), 0U);
  EXPECT_EQ(add(t, ids("one two three")), 0U);
  EXPECT_EQ(add(t, ids("one two three")), std::string("one two ").size());  // tokens, not words
  EXPECT_EQ(t.at_pause(ids("one two three")), std::string("one two ").size());
  // The cut would fall between the two bytes of é.
  EXPECT_EQ(add(t, ids("one two caf\xC3\xA9 no")), std::string("one two caf").size());
}

TEST_F(CommitTrackerTest, OfficialRuleWithFewTokensCommitsNone) {
  CommitTracker t = tracker({.policy = CommitPolicy::kOfficial, .unfixed_chunks = 0, .unfixed_tokens = 5});
  EXPECT_EQ(add(t, ids("one")), 0U);
  EXPECT_EQ(add(t, {}), 0U);
}

TEST_F(CommitTrackerTest, BySegmentsNothingIsCommittedBefore) {
  CommitTracker t = tracker({.policy = CommitPolicy::kSegment});
  for (int step = 0; step < 4; ++step) EXPECT_EQ(add(t, ids("one two three")), 0U);
  EXPECT_EQ(t.at_pause(ids("one two three")), 0U);
}

}  // namespace
}  // namespace qasr
