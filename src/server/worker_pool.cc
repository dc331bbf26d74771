#include "server/worker_pool.h"

#include <sys/resource.h>

#include <utility>

namespace qasr::server {
namespace {

// Reading and cutting a recording is not urgent: where all cores compute, steps of live streams go before it.
constexpr int kNiceness = 5;

}  // namespace

WorkerPool::WorkerPool(int n_workers, std::size_t max_waiting) : max_waiting_(max_waiting) {
  for (int n = 0; n < n_workers; ++n) threads_.emplace_back([this] { work(); });
}

WorkerPool::~WorkerPool() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::try_add(std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    const std::size_t n_free = threads_.size() - n_running_;
    if (stop_ || tasks_.size() >= n_free + max_waiting_) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

std::size_t WorkerPool::n_waiting() const {
  const MutexLock lock(mutex_);
  return tasks_.size();
}

std::size_t WorkerPool::n_running() const {
  const MutexLock lock(mutex_);
  return n_running_;
}

void WorkerPool::work() {
  setpriority(PRIO_PROCESS, 0, kNiceness);  // Linux: of this thread alone
  for (;;) {
    std::function<void()> task;
    {
      const MutexLock lock(mutex_);
      while (tasks_.empty() && !stop_) changed_.wait(mutex_);
      if (stop_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      ++n_running_;
    }
    task();
    task = nullptr;  // what it holds is freed before the place is
    const MutexLock lock(mutex_);
    --n_running_;
  }
}

}  // namespace qasr::server
