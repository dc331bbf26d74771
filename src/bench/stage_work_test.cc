// The counts against what the operations are documented to multiply, at the size of the 0.6B model.
#include "bench/stage_work.h"

#include <gtest/gtest.h>

#include "weights/synthetic_models.h"

namespace qasr::bench {
namespace {

TEST(StageWork, SmallModelAtThirtySeconds) {
  const ModelConfig config = synthetic_model("qwen3-asr-0.6b").config;
  const StageWork work = stage_work(config, 1, 3000, 405);
  // Per chunk of 100 frames: 64 x 50, 32 x 25 and 16 x 13 positions of 480 channels, then 13 tokens from 7680 to 896.
  const double stem = 30 * (9.0 * 480 * (3200 + 480 * (800 + 208)) + 13.0 * 7680 * 896);
  EXPECT_EQ(work.stem, stem);
  // 390 tokens, 18 layers, windows of 104 tokens; two projections.
  const double layer = 4.0 * 896 * 896 + 2.0 * 896 * 3584 + 2.0 * 104 * 896;
  EXPECT_EQ(work.encoder, stem + 390 * (18 * layer + 896.0 * 896 + 896.0 * 1024));
  // 27 layers: q, k, v, o of 16 and 8 heads of 128, three matrices of 3072, half a square of attention. Of the last
  // layer k and v, and the rest of one row; one head row.
  const double row = 1024.0 * (2048 + 2 * 1024) + 2048.0 * 1024 + 3.0 * 1024 * 3072, kv = 1024.0 * 2 * 1024;
  const double last = 405 * kv + (row - kv) + 405 * 2 * 2048;
  EXPECT_EQ(work.prefill, 27 * (405 * row + 405 * 406.0 * 2048) + last + 1024.0 * 151936);
}

TEST(StageWork, SegmentsAddUp) {
  const ModelConfig config = synthetic_model("tiny_a").config;
  const StageWork one = stage_work(config, 1, 730, 60), three = stage_work(config, 3, 730, 60);
  EXPECT_GT(one.stem, 0);
  EXPECT_GT(one.encoder, one.stem);
  EXPECT_EQ(three.stem, 3 * one.stem);
  EXPECT_EQ(three.encoder, 3 * one.encoder);
  EXPECT_EQ(three.prefill, 3 * one.prefill);
}

}  // namespace
}  // namespace qasr::bench
