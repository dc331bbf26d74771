// The pool's promises: every task once, worker numbers unique among running tasks, callers from many threads and from
// inside tasks, and no collapse when there are more threads than cores. The sanitizer presets run these under TSan.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "base/cpu_topology.h"
#include "qasr/error.h"

namespace qasr {
namespace {

void expect_each_task_once(ThreadPool& pool, std::size_t n_tasks) {
  std::vector<int> runs(n_tasks, 0);  // plain ints: two runs of one task would be a data race, which TSan reports
  pool.parallel_for(n_tasks, [&](std::size_t task, int) { ++runs[task]; });
  for (std::size_t task = 0; task < n_tasks; ++task) ASSERT_EQ(runs[task], 1) << "task " << task;
}

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    EXPECT_EQ(pool.n_threads(), n_threads);
    for (std::size_t n_tasks : {0, 1, 2, 7, 64, 1000}) expect_each_task_once(pool, n_tasks);
  }
}

TEST(ThreadPool, ZeroMeansUsableCores) { EXPECT_EQ(ThreadPool(0).n_threads(), cpu_budget().n_cores); }

TEST(ThreadPool, RefusesAbsurdSizes) {
  for (int n_threads : {-1, ThreadPool::kMaxThreads + 1}) {
    try {
      ThreadPool pool(n_threads);
      FAIL() << n_threads;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    }
  }
}

TEST(ThreadPool, WorkerNumbersAreUniqueWhileTasksRun) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  std::atomic<int> busy[kThreads] = {};
  std::atomic<int> clashes{0};
  for (int job = 0; job < 200; ++job) {
    pool.parallel_for(32, [&](std::size_t, int worker) {
      if (worker < 0 || worker >= kThreads || busy[worker].fetch_add(1) != 0) clashes.fetch_add(1);
      busy[worker].fetch_sub(1);
    });
  }
  EXPECT_EQ(clashes.load(), 0);
}

TEST(ThreadPool, BackToBackJobsSeeEarlierResults) {
  ThreadPool pool(3);
  std::vector<int> values(64, 0);
  for (int job = 0; job < 3000; ++job) {
    pool.parallel_for(values.size(), [&](std::size_t task, int) { values[task] += 1; });
    // No synchronisation but the pool's own: TSan checks that job n + 1 may read what job n wrote elsewhere.
    ASSERT_EQ(std::accumulate(values.begin(), values.end(), 0), 64 * (job + 1));
  }
}

TEST(ThreadPool, ManyCallersAtOnce) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<long> total{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int job = 0; job < 500; ++job) pool.parallel_for(20, [&](std::size_t task, int) { total += long(task); });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total.load(), 4L * 500 * 190);
}

TEST(ThreadPool, NestedJobsDoNotDeadlock) {
  ThreadPool pool(2);
  std::atomic<int> inner_runs{0};
  pool.parallel_for(8, [&](std::size_t, int) { pool.parallel_for(8, [&](std::size_t, int) { ++inner_runs; }); });
  EXPECT_EQ(inner_runs.load(), 64);
}

TEST(ThreadPool, WakesSleepingWorkers) {
  ThreadPool pool(2);
  for (int job = 0; job < 20; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far beyond the spinning time
    std::atomic<int> started{0};
    // Each task waits for the other: only two threads can finish this job.
    pool.parallel_for(2, [&](std::size_t, int) {
      ++started;
      while (started.load() < 2) std::this_thread::yield();
    });
  }
}

TEST(ThreadPool, OversubscriptionDoesNotCollapse) {
  ThreadPool pool(8 * cpu_budget().n_processors);
  const auto begin = std::chrono::steady_clock::now();
  for (int job = 0; job < 1000; ++job) expect_each_task_once(pool, 16);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(elapsed.count(), 20.0);  // a spinning, waiting pool would need a scheduler tick per job: minutes under TSan
}

}  // namespace
}  // namespace qasr
