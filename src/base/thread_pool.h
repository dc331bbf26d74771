// ThreadPool: callers and n - 1 workers share the tasks of operations. Made for back-to-back operations of a few
// microseconds: workers spin briefly between jobs, then sleep, so a busy step pays no wake-ups and an idle process
// burns nothing. Callers share one pool without getting in each other's way: the more jobs run, the fewer threads each
// has, and with n jobs or more every caller computes alone.
//
// Neighbouring tasks go to one thread, and equal parts of equal jobs to the same: the tasks are n ranges, worker w begins
// with range w and helps others when it is through. So where tasks are rows in order, a row's values stay in the caches
// of one core from operation to operation, which matters where cores share none of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/mutex.h"

namespace qasr {

class ThreadPool {
 public:
  /// @param n_threads  including the caller; 0: one per physical core the process may use (cpu_budget())
  /// @throws Error kInvalidArgument (negative or above kMaxThreads), kOutOfMemory (the system refuses a thread)
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr int kMaxThreads = 1024;
  int n_threads() const { return n_threads_; }

  /// Threads that begin at different places of the tasks, at most kMaxRanges.
  int n_ranges() const { return n_ranges_; }
  static constexpr int kMaxRanges = 8;

  /// Calls fn(task, worker) once for every task in [0, n_tasks), in no fixed order, and returns when all are done.
  /// `worker` is in [0, n_threads()) and no two calls of one job run at once with the same worker. fn must not throw.
  /// May be called from several threads, also from inside a task. Jobs that run at the same time share n_threads()
  /// threads evenly, their callers included; a worker beyond its job's share leaves after the task it is at.
  template <typename Fn>
  void parallel_for(std::size_t n_tasks, Fn&& fn) noexcept {
    using Body = std::remove_reference_t<Fn>;
    const Job job{[](void* body, std::size_t task, int worker) noexcept { (*static_cast<Body*>(body))(task, worker); },
                  const_cast<void*>(static_cast<const void*>(std::addressof(fn))), n_tasks};
    run(job);
  }

 private:
  struct Job {
    void (*call)(void* body, std::size_t task, int worker) noexcept = nullptr;
    void* body = nullptr;
    std::size_t n_tasks = 0;
  };

  // A place for one running job. Its caller claims it, writes `job` and opens it; workers enter only while it is open,
  // by compare-and-swap, so nobody reads `job` after the caller closed the slot and saw zero workers inside.
  struct alignas(64) Slot {
    std::atomic<std::uint32_t> state{0};  // [claimed : 1][open : 1][caller sleeps : 1][workers inside : 11]
    Job job;
  };
  // Range r of a job is its r-th equal part.
  struct alignas(64) Range {
    std::atomic<std::size_t> next{0};  // first task nobody has taken
  };
  static constexpr int kSlots = 32;  // jobs that can have workers at a time; callers beyond them compute alone

  void run(const Job& job) noexcept;
  void run_tasks(int slot, int worker) noexcept;
  bool run_range(int slot, const Job& job, int range, int worker) noexcept;
  std::size_t range_begin(const Job& job, int range) const noexcept;
  std::atomic<std::size_t>& next_of(int slot, int range) noexcept;
  int claim() noexcept;
  void publish(int slot, const Job& job) noexcept;
  void close(int slot) noexcept;
  void release(int slot) noexcept;
  int share(int slot, std::uint32_t open) const noexcept;
  bool leave_if_crowded(int slot) noexcept;
  void leave(int slot) noexcept;
  void worker_main(int worker) noexcept;
  int wait_for_job() noexcept;
  int enter_any() noexcept;
  void stop() noexcept;

  int n_threads_ = 1, n_ranges_ = 1;
  std::uint32_t spin_us_ = 0;

  std::array<Slot, kSlots> slots_;
  std::unique_ptr<Range[]> ranges_;                 // [kSlots, n_ranges_]
  alignas(64) std::atomic<std::uint32_t> open_{0};  // bit s: slot s is open and had tasks left; what workers watch

  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  Mutex sleep_;  // orders going to sleep with the notifications; guards no data
  CondVar job_posted_, job_left_;
  std::vector<std::thread> workers_;
};

}  // namespace qasr
