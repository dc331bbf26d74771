// The limits of this machine, measured: dot-product peaks from registers and memory read by all threads. Used by
// `qasr bench` and by the kernel benchmarks, so that both judge against the same figures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "bench/peak_loops.h"

namespace qasr::bench {

/// Operations per second (two per multiply-add) of all threads together; 0: the machine lacks the instruction.
struct DotPeaks {
  double f32 = 0, bf16 = 0, int8 = 0;
  PeakLoops loops;  ///< which instructions those were
};

/// Takes less than 0.1 s.
DotPeaks measure_dot_peaks(ThreadPool& pool);

/// Runs the loop once on every thread, in small pieces so that all are busy to the end.
/// @return multiply-adds done
double run_peak_loop(const PeakLoop& loop, ThreadPool& pool) noexcept;

/// A buffer far larger than the caches, to be read from start to end.
class StreamReader {
 public:
  /// 256 MiB, or four times the last-level cache if that is more (at most 1 GiB). Every page is touched.
  /// @param most_bytes  enough for who asks, but never less than 16 MiB
  /// @throws Error kOutOfMemory
  explicit StreamReader(std::size_t most_bytes = SIZE_MAX / 2);

  std::size_t bytes() const { return buffer_.bytes(); }
  /// Reads everything once, shared by the pool's threads.
  void read(ThreadPool& pool) const noexcept;
  /// Bytes per second: median of five reads.
  double measure(ThreadPool& pool) const;

 private:
  AlignedBuffer buffer_;
};

}  // namespace qasr::bench
