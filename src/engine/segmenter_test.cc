#include "engine/segmenter.h"

#include <gtest/gtest.h>

#include <vector>

namespace qasr {
namespace {

TEST(SplitSegments, ShortRecordingIsOneSegmentAndEmptyHasNone) {
  EXPECT_TRUE(split_segments({}, 10).empty());
  const std::vector<float> samples(16000 * 10);
  const auto segments = split_segments(samples, 10);
  ASSERT_EQ(segments.size(), 1U);
  EXPECT_EQ(segments[0].first_sample, 0U);
  EXPECT_EQ(segments[0].n_samples, samples.size());
}

TEST(SplitSegments, CoversTheRecordingWithoutGapOrOverlap) {
  std::vector<float> samples(16000 * 47);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = (i * 2654435761U % 1000) / 1000.0F - 0.5F;
  std::size_t next = 0;
  for (const SegmentSpan& span : split_segments(samples, 10)) {
    EXPECT_EQ(span.first_sample, next);
    EXPECT_LE(span.n_samples, 16000U * 15);
    next += span.n_samples;
  }
  EXPECT_EQ(next, samples.size());
}

TEST(SegmentSeparator, SpaceOnlyBetweenSpacedScripts) {
  EXPECT_EQ(segment_separator("", "a"), "");
  EXPECT_EQ(segment_separator("a", ""), "");
  EXPECT_EQ(segment_separator("Hello.", "World"), " ");
  EXPECT_EQ(segment_separator("Hello. ", "World"), "");
  EXPECT_EQ(segment_separator("你好。", "世界"), "");
  EXPECT_EQ(segment_separator("hello", "世界"), "");
  EXPECT_EQ(segment_separator("สวัสดี", "ครับ"), "");
  EXPECT_EQ(segment_separator("안녕", "하세요"), " ");
  EXPECT_EQ(segment_separator("Да", "нет"), " ");
}

}  // namespace
}  // namespace qasr
