// ThreadPool: the caller and n - 1 workers share the tasks of one operation. Made for back-to-back operations of a few
// microseconds: workers spin briefly between jobs, then sleep, so a busy step pays no wake-ups and an idle process
// burns nothing.
#pragma once

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

  /// Calls fn(task, worker) once for every task in [0, n_tasks), in no fixed order, and returns when all are done.
  /// `worker` is in [0, n_threads()) and no two calls of one job run at once with the same worker. fn must not throw.
  /// May be called from several threads, also from inside a task: while one job has the workers, the others run on
  /// their callers alone.
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

  void run(const Job& job) noexcept;
  void run_tasks(int worker) noexcept;
  void publish(const Job& job) noexcept QASR_REQUIRES(submit_);
  void close() noexcept QASR_REQUIRES(submit_);
  void worker_main(int worker) noexcept;
  bool wait_for_job(std::uint32_t seen) noexcept;
  bool join(std::uint32_t& seen) noexcept;
  void leave() noexcept;
  void stop() noexcept;

  int n_threads_ = 1;
  std::uint32_t spin_us_ = 0;

  Mutex submit_;                      // held by the caller whose job has the workers
  Job job_;                           // written by that caller; read by workers that joined its ticket
  std::atomic<std::size_t> next_{0};  // first task nobody has taken
  // [generation : 20][open : 1][workers inside : 11]. A worker may enter only while open, by compare-and-swap, so
  // nobody reads job_ after its caller saw zero workers inside.
  alignas(64) std::atomic<std::uint32_t> ticket_{0};

  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};
  Mutex sleep_;  // orders going to sleep with the notifications; guards no data
  CondVar job_posted_, job_left_;
  std::vector<std::thread> workers_;
};

}  // namespace qasr
