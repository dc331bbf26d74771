#include "bench/machine_limits.h"

#include <gtest/gtest.h>

#include "base/cpu_features.h"
#include "bench/peak_memory.h"
#include "bench/statistics.h"

namespace qasr::bench {
namespace {

TEST(Statistics, Median) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({5, 1, 3}), 3);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_THROW(median({}), Error);
}

TEST(MachineLimits, PeaksOfWhatTheMachineHas) {
  ThreadPool pool(2);
  const DotPeaks peaks = measure_dot_peaks(pool);
  const CpuFeatures cpu = cpu_features();
  EXPECT_EQ(peaks.f32 > 0, cpu.avx2 || cpu.neon);
  if (cpu.avx2) {
    EXPECT_GT(peaks.int8, 0);
  }
  EXPECT_EQ(peaks.bf16 > 0, peaks.loops.bf16.run != nullptr);
}

TEST(MachineLimits, LoopsCountTheirWork) {
  ThreadPool pool(2);
  const PeakLoops loops = peak_loops();
  for (const PeakLoop& loop : {loops.f32, loops.bf16, loops.int8}) {
    if (loop.run == nullptr) continue;
    EXPECT_EQ(run_peak_loop(loop, pool), 2 * 20000 * loop.multiply_adds) << loop.instruction;
  }
}

TEST(MachineLimits, StreamIsLargerThanCaches) {
  ThreadPool pool(2);
  const StreamReader reader;
  EXPECT_GE(reader.bytes(), std::size_t{256} << 20);
  EXPECT_GT(reader.measure(pool), 1e8);
}

TEST(PeakMemory, ResetForgetsFreedMemory) {
  if (!reset_peak_rss() || peak_rss_mb() == 0) GTEST_SKIP() << "no resettable peak on this system";
  const double before = peak_rss_mb();
  { const StreamReader reader; }
  EXPECT_GT(peak_rss_mb(), before + 200);
  ASSERT_TRUE(reset_peak_rss());
  EXPECT_LT(peak_rss_mb(), before + 100);
}

}  // namespace
}  // namespace qasr::bench
