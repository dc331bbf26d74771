// The pool's promises: every task once, worker numbers unique among running tasks, callers from many threads, who share
// the workers, and from inside tasks, and no collapse when there are more threads than cores. The sanitizer presets run
// these under TSan.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
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

// Worker 1 of two begins in the middle. It stays at its first task until all others are done: the caller does them.
TEST(ThreadPool, EveryWorkerBeginsWithItsShareAndHelpsTheOthers) {
  ThreadPool pool(2);
  ASSERT_EQ(pool.n_ranges(), 2);
  for (int round = 0; round < 20; ++round) {
    constexpr std::size_t kTasks = 101;
    std::atomic<int> n_done{0};
    std::atomic<bool> is_other_here{false};
    std::size_t first[2] = {kTasks, kTasks};
    std::vector<int> runs(kTasks, 0);
    pool.parallel_for(kTasks, [&](std::size_t task, int worker) {
      ++runs[task];
      if (first[worker] == kTasks) {
        first[worker] = task;
        if (worker == 1) is_other_here = true;
        while (worker == 0 && !is_other_here) std::this_thread::yield();
        while (worker == 1 && n_done < static_cast<int>(kTasks) - 1) std::this_thread::yield();
      }
      ++n_done;
    });
    EXPECT_EQ(first[0], 0U);
    EXPECT_EQ(first[1], 50U);
    EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), static_cast<std::ptrdiff_t>(kTasks));
  }
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

// Waits for a condition that must come true; gives up after a time no machine needs.
template <typename Condition>
bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

// How many threads are in tasks of one job.
struct Occupancy {
  std::atomic<int> now{0};
  void enter_briefly() {
    ++now;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    --now;
  }
};

TEST(ThreadPool, JobsThatRunTogetherShareTheThreadsEvenly) {
  ThreadPool pool(4);
  Occupancy first, second;
  std::atomic<bool> stop_first{false}, was_full{false};
  std::thread caller([&] {
    pool.parallel_for(1 << 20, [&](std::size_t, int) {
      if (!stop_first.load()) first.enter_briefly();
      if (first.now.load() == 3) was_full.store(true);  // this thread is the fourth
    });
  });
  EXPECT_TRUE(comes_true([&] { return was_full.load(); })) << "a job alone has all threads";
  // Two workers have to leave the first job in the middle for this one, and no third may.
  std::atomic<int> most{0};
  std::atomic<bool> shared{false};
  pool.parallel_for(2000, [&](std::size_t, int) {
    const int inside = ++second.now;
    for (int seen = most.load(); seen < inside && !most.compare_exchange_weak(seen, inside);) {
    }
    if (inside == 1 && !shared.load()) shared.store(comes_true([&] { return second.now.load() >= 2; }));
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    --second.now;
  });
  stop_first.store(true);
  caller.join();
  EXPECT_TRUE(shared.load());
  EXPECT_EQ(most.load(), 2);
}

TEST(ThreadPool, AsManyCallersAsThreadsComputeAlone) {
  ThreadPool pool(2);
  std::atomic<bool> stop{false}, alone{false};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([&] {
      const std::thread::id self = std::this_thread::get_id();
      while (!stop.load()) {
        std::atomic<int> by_others{0};
        pool.parallel_for(16, [&](std::size_t, int) {
          if (std::this_thread::get_id() != self) ++by_others;
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        });
        if (by_others.load() == 0) alone.store(true);  // alone, the worker would have taken tasks of every job
      }
    });
  }
  EXPECT_TRUE(comes_true([&] { return alone.load(); }));
  stop.store(true);
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPool, IdleWorkersSleep) {
  ThreadPool pool(4);
  expect_each_task_once(pool, 64);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // far beyond the spinning time
  const std::clock_t begin = std::clock();                     // processor time of all threads
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 50);  // a single spinning worker would take up to 100 ms
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
