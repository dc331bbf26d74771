// The thread pool's own cost: a job without work, awake and after a pause, and one pool shared by several callers.
//
//   thread_pool_bench --benchmark_filter=Shared
//   QASR_BENCH_THREADS=4 thread_pool_bench
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/platform.h"
#include "base/thread_pool.h"

namespace {

using qasr::ThreadPool;

int n_threads() {
  const char* value = std::getenv("QASR_BENCH_THREADS");
  return value == nullptr ? 0 : std::atoi(value);
}

// Arithmetic nobody can remove, about `us` microseconds of it on a core of 2020.
void work(int us) {
  std::uint64_t x = 1;
  for (int i = 0; i < us * 800; ++i) benchmark::DoNotOptimize(x = x * 6364136223846793005u + 1442695040888963407u);
}

// Starts and ends a job that needs every thread: each task waits until all have one. What an operation pays for its
// workers, awake between operations of one step or asleep after a pause.
void all_threads(ThreadPool& pool) {
  std::atomic<int> started{0};
  const int n = pool.n_threads();
  pool.parallel_for(static_cast<std::size_t>(n), [&](std::size_t, int) {
    started.fetch_add(1);
    while (started.load() < n) qasr::cpu_relax();
  });
}

void BM_Barrier(benchmark::State& state) {
  ThreadPool pool(n_threads());
  for (auto _ : state) all_threads(pool);
}
BENCHMARK(BM_Barrier)->UseRealTime();

void BM_BarrierAfterPause(benchmark::State& state) {
  ThreadPool pool(n_threads());
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto begin = std::chrono::steady_clock::now();
    all_threads(pool);
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}
BENCHMARK(BM_BarrierAfterPause)->UseManualTime()->Iterations(500);

// Several callers, each with jobs of 16 tasks of about 5 microseconds back to back, as sessions of one engine have
// them. Items are jobs of all callers together: the figure should not fall as callers are added.
std::unique_ptr<ThreadPool> shared_pool;
void BM_SharedPool(benchmark::State& state) {
  if (state.thread_index() == 0) shared_pool = std::make_unique<ThreadPool>(n_threads());
  for (auto _ : state) {
    shared_pool->parallel_for(16, [](std::size_t, int) { work(5); });
    work(2);  // what a caller does between operations
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) shared_pool.reset();
}
BENCHMARK(BM_SharedPool)->ThreadRange(1, 8)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
