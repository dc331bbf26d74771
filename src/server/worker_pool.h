// WorkerPool: threads that run tasks in order, and a bounded queue in front of them.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace qasr::server {

class WorkerPool {
 public:
  WorkerPool(int n_workers, std::size_t max_waiting);
  /// Finishes what runs, drops what waits.
  ~WorkerPool();

  /// @return false: all workers are busy and max_waiting tasks wait; the task was not taken
  bool try_add(std::function<void()> task) QASR_EXCLUDES(mutex_);
  std::size_t n_waiting() const QASR_EXCLUDES(mutex_);
  std::size_t n_running() const QASR_EXCLUDES(mutex_);

 private:
  void work() QASR_EXCLUDES(mutex_);

  const std::size_t max_waiting_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ QASR_GUARDED_BY(mutex_);
  std::size_t n_running_ QASR_GUARDED_BY(mutex_) = 0;
  bool stop_ QASR_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace qasr::server
