#include "bench/machine_limits.h"

#include <unistd.h>

#include <algorithm>

#include "bench/statistics.h"
#include "bench/stopwatch.h"

namespace qasr::bench {
namespace {

constexpr std::size_t kPeakIterations = 20000;  // some 0.1 ms
constexpr double kPeakSeconds = 0.01;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20, kLeastBytes = 16 * kPieceBytes;

std::size_t stream_bytes() {
  const long last_level = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  const std::size_t cache_bytes = last_level > 0 ? static_cast<std::size_t>(last_level) : 0;
  const std::size_t bytes = std::clamp(4 * cache_bytes, std::size_t{256} << 20, std::size_t{1} << 30);
  return bytes / kPieceBytes * kPieceBytes;
}

// Best of three: anything that disturbs the loop makes it slower.
double measure_peak(const PeakLoop& loop, ThreadPool& pool) {
  if (loop.run == nullptr) return 0;
  double best = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Stopwatch stopwatch;
    double multiply_adds = 0;
    while (stopwatch.seconds() < kPeakSeconds) multiply_adds += run_peak_loop(loop, pool);
    best = std::max(best, 2 * multiply_adds / stopwatch.seconds());
  }
  return best;
}

}  // namespace

double run_peak_loop(const PeakLoop& loop, ThreadPool& pool) noexcept {
  const auto n_tasks = static_cast<std::size_t>(16 * pool.n_threads());
  pool.parallel_for(n_tasks, [&](std::size_t, int) { loop.run(kPeakIterations / 16); });
  return static_cast<double>(n_tasks * (kPeakIterations / 16)) * loop.multiply_adds;
}

DotPeaks measure_dot_peaks(ThreadPool& pool) {
  const PeakLoops loops = peak_loops();
  return {.f32 = measure_peak(loops.f32, pool),
          .bf16 = measure_peak(loops.bf16, pool),
          .int8 = measure_peak(loops.int8, pool),
          .loops = loops};
}

StreamReader::StreamReader(std::size_t most_bytes)
    : buffer_(std::min(stream_bytes(), (std::max(most_bytes, kLeastBytes) + kPieceBytes - 1) / kPieceBytes * kPieceBytes)) { std::fill_n(buffer_.data(), buffer_.bytes(), std::byte{1}); }

void StreamReader::read(ThreadPool& pool) const noexcept {
  const ReadLoop loop = read_loop();
  pool.parallel_for(bytes() / kPieceBytes,
                    [&](std::size_t piece, int) { loop(buffer_.data() + piece * kPieceBytes, kPieceBytes); });
}

double StreamReader::measure(ThreadPool& pool) const {
  std::vector<double> rates;
  for (int pass = 0; pass < 5; ++pass) {
    const Stopwatch stopwatch;
    read(pool);
    rates.push_back(static_cast<double>(bytes()) / stopwatch.seconds());
  }
  return median(std::move(rates));
}

}  // namespace qasr::bench
