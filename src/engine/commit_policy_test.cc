#include "engine/commit_policy.h"

#include <gtest/gtest.h>

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
  const Tokenizer tokenizer_{SmallTokenizer().files()};
};

TEST_F(CommitTrackerTest, WholeWordsThatTwoHypothesesShare) {
  CommitTracker t = tracker({.agreement = 2});
  EXPECT_EQ(t.add(ids("one two thr")), 0U);
  EXPECT_EQ(t.add(ids("one two three f")), std::string("one two").size());  // "thr" may be prolonged
  EXPECT_EQ(t.add(ids("one two three four")), std::string("one two three").size());
  EXPECT_EQ(t.n_committed(), std::string("one two three").size());
}

TEST_F(CommitTrackerTest, ALastWordThatAgreesMayStillBeCutOffByTheAudio) {
  CommitTracker t = tracker({.agreement = 2});
  t.add(ids("one two."));
  EXPECT_EQ(t.add(ids("one two.")), std::string("one").size());
}

TEST_F(CommitTrackerTest, ThreeMustAgreeWhereThreeAreAskedFor) {
  CommitTracker t = tracker({.agreement = 3});
  EXPECT_EQ(t.add(ids("one two three")), 0U);
  EXPECT_EQ(t.add(ids("one two three")), 0U);
  EXPECT_EQ(t.add(ids("one too three")), std::string("one").size());
  EXPECT_EQ(t.add(ids("one two three")), std::string("one").size());
  EXPECT_EQ(t.add(ids("one two three")), std::string("one").size()) << "one of the last three disagrees";
  EXPECT_EQ(t.add(ids("one two three")), std::string("one two").size());
}

TEST_F(CommitTrackerTest, OneHypothesisIsEnoughWhereOneIsAskedFor) {
  CommitTracker t = tracker({.agreement = 1});
  EXPECT_EQ(t.add(ids("one two three")), std::string("one two").size());
}

TEST_F(CommitTrackerTest, AtAPauseEverythingButPunctuationAtTheEnd) {
  CommitTracker t = tracker({.agreement = 2});
  EXPECT_EQ(t.add(ids("one, two.")), 0U);
  EXPECT_EQ(t.at_pause(ids("one, two.")), std::string("one, two").size());
  EXPECT_EQ(t.at_pause(ids("one, two")), std::string("one, two").size());
}

TEST_F(CommitTrackerTest, NothingBeforeThereIsText) {
  std::vector<std::int32_t> hypothesis = ids("language English");
  CommitTracker t = tracker({.agreement = 1}, false);
  EXPECT_EQ(t.add(hypothesis), 0U);
  hypothesis.push_back(kTextTag);
  EXPECT_EQ(t.add(hypothesis), 0U);
  const std::size_t n_tag = hypothesis.size();
  for (const std::int32_t id : ids("one two")) hypothesis.push_back(id);
  EXPECT_EQ(t.add(hypothesis), n_tag + std::string("one").size());
}

TEST_F(CommitTrackerTest, OfficialRuleKeepsTheLastTokensOpenAndNoCharacterInTwo) {
  CommitTracker t = tracker({.policy = CommitPolicy::kOfficial, .unfixed_chunks = 2, .unfixed_tokens = 5});
  EXPECT_EQ(t.add(ids("one two three")), 0U);
  EXPECT_EQ(t.add(ids("one two three")), 0U);
  EXPECT_EQ(t.add(ids("one two three")), std::string("one two ").size());  // tokens, not words
  EXPECT_EQ(t.at_pause(ids("one two three")), std::string("one two ").size());
  // The cut would fall between the two bytes of é.
  EXPECT_EQ(t.add(ids("one two caf\xC3\xA9 no")), std::string("one two caf").size());
}

TEST_F(CommitTrackerTest, OfficialRuleWithFewTokensCommitsNone) {
  CommitTracker t = tracker({.policy = CommitPolicy::kOfficial, .unfixed_chunks = 0, .unfixed_tokens = 5});
  EXPECT_EQ(t.add(ids("one")), 0U);
  EXPECT_EQ(t.add({}), 0U);
}

TEST_F(CommitTrackerTest, BySegmentsNothingIsCommittedBefore) {
  CommitTracker t = tracker({.policy = CommitPolicy::kSegment});
  for (int step = 0; step < 4; ++step) EXPECT_EQ(t.add(ids("one two three")), 0U);
  EXPECT_EQ(t.at_pause(ids("one two three")), 0U);
}

}  // namespace
}  // namespace qasr
