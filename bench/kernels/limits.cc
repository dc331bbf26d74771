// What the machine can do at all: the figures that every other row is to be compared with.
#include "bench/machine_limits.h"
#include "setup.h"

namespace qasr::bench {
namespace {

void measure_peak(benchmark::State& state, const PeakLoop& loop) {
  double multiply_adds = 0;
  for (auto _ : state) multiply_adds = run_peak_loop(loop, pool());
  report_flops(state, multiply_adds);
  state.SetLabel(loop.instruction);
}

void measure_stream(benchmark::State& state) {
  static const StreamReader reader;
  for (auto _ : state) reader.read(pool());
  report_bytes(state, static_cast<double>(reader.bytes()));
}

void measure_empty_job(benchmark::State& state) {
  for (auto _ : state) pool().parallel_for(8, [](std::size_t task, int) { benchmark::DoNotOptimize(task); });
}

const bool kRegistered = [] {
  const PeakLoops loops = peak_loops();
  const std::pair<const char*, PeakLoop> peaks[] = {
      {"Peak/f32", loops.f32}, {"Peak/bf16", loops.bf16}, {"Peak/int8", loops.int8}};
  for (const auto& [name, loop] : peaks) {
    if (loop.run != nullptr) benchmark::RegisterBenchmark(name, measure_peak, loop)->UseRealTime();
  }
  benchmark::RegisterBenchmark("StreamRead", measure_stream)->UseRealTime();
  benchmark::RegisterBenchmark("ParallelForEmpty", measure_empty_job)->UseRealTime();
  return true;
}();

}  // namespace
}  // namespace qasr::bench
