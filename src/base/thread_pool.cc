#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>

#include "base/cpu_topology.h"
#include "base/platform.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr std::uint32_t kOpen = 1u << 11;
constexpr std::uint32_t kInside = kOpen - 1;
constexpr std::uint32_t kGeneration = ~(kOpen | kInside);
constexpr std::uint32_t kNextGeneration = kOpen << 1;
static_assert(ThreadPool::kMaxThreads <= static_cast<int>(kInside));

// Longer than the gap between two operations of a decode step, shorter than anyone notices in a power meter.
constexpr std::uint32_t kSpinUs = 40;

// Spins until done() or the time is up; returns done().
template <typename Done>
bool spin(std::uint32_t spin_us, Done done) {
  if (done()) return true;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_us);
  do {
    for (int i = 0; i < 16; ++i) {
      cpu_relax();
      if (done()) return true;
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) {
  if (n_threads < 0 || n_threads > kMaxThreads) {
    throw Error(ErrorCode::kInvalidArgument,
                "threads: got " + std::to_string(n_threads) + ", expected 0 to " + std::to_string(kMaxThreads));
  }
  const CpuBudget budget = cpu_budget();
  n_threads_ = n_threads == 0 ? std::min(budget.n_cores, kMaxThreads) : n_threads;
  // With more threads than processors a spinning thread takes the processor from one that has work.
  spin_us_ = n_threads_ <= budget.n_processors ? kSpinUs : 0;
  workers_.reserve(static_cast<std::size_t>(n_threads_ - 1));
  try {
    for (int worker = 1; worker < n_threads_; ++worker) workers_.emplace_back([this, worker] { worker_main(worker); });
  } catch (const std::system_error& error) {
    stop();
    throw Error(ErrorCode::kOutOfMemory, "cannot start " + std::to_string(n_threads_) + " threads: " + error.what());
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  {
    MutexLock lock(sleep_);
    stop_.store(true);
  }
  job_posted_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::run(const Job& job) noexcept {
  if (job.n_tasks <= 1 || workers_.empty() || !submit_.try_lock()) {
    for (std::size_t task = 0; task < job.n_tasks; ++task) job.call(job.body, task, 0);
    return;
  }
  publish(job);
  run_tasks(0);
  close();
  submit_.unlock();
}

void ThreadPool::publish(const Job& job) noexcept {
  job_ = job;
  next_.store(0, std::memory_order_relaxed);
  const std::uint32_t generation = ticket_.load(std::memory_order_relaxed) & kGeneration;
  ticket_.store((generation + kNextGeneration) | kOpen);
  // A worker announces itself in sleepers_ before it looks at the ticket for the last time (both sequentially
  // consistent), so either we see it here or it sees the ticket.
  if (sleepers_.load() > 0) {
    { MutexLock lock(sleep_); }
    job_posted_.notify_all();
  }
}

// No task is left: nobody may enter any more, and those inside finish theirs.
void ThreadPool::close() noexcept {
  ticket_.fetch_and(~kOpen);
  const auto all_left = [this] { return (ticket_.load() & kInside) == 0; };
  if (spin(spin_us_, all_left)) return;
  MutexLock lock(sleep_);
  caller_sleeps_.store(true);
  while (!all_left()) job_left_.wait(sleep_);
  caller_sleeps_.store(false);
}

void ThreadPool::run_tasks(int worker) noexcept {
  const Job job = job_;
  for (;;) {
    const std::size_t task = next_.fetch_add(1, std::memory_order_relaxed);
    if (task >= job.n_tasks) return;
    job.call(job.body, task, worker);
  }
}

void ThreadPool::worker_main(int worker) noexcept {
  std::uint32_t seen = 0;  // generation of the last job this worker looked at
  while (wait_for_job(seen)) {
    if (!join(seen)) continue;
    run_tasks(worker);
    leave();
  }
}

// Returns false when the pool stops.
bool ThreadPool::wait_for_job(std::uint32_t seen) noexcept {
  const auto posted = [this, seen] {
    const std::uint32_t ticket = ticket_.load();
    return ((ticket & kOpen) != 0 && (ticket & kGeneration) != seen) || stop_.load();
  };
  if (!spin(spin_us_, posted)) {
    MutexLock lock(sleep_);
    sleepers_.fetch_add(1);
    while (!posted()) job_posted_.wait(sleep_);
    sleepers_.fetch_sub(1);
  }
  return !stop_.load();
}

// Enters the open job unless it closes first. Either way its generation is now seen.
bool ThreadPool::join(std::uint32_t& seen) noexcept {
  std::uint32_t ticket = ticket_.load();
  seen = ticket & kGeneration;
  while ((ticket & kOpen) != 0 && (ticket & kGeneration) == seen) {
    if (ticket_.compare_exchange_weak(ticket, ticket + 1)) return true;
  }
  return false;
}

void ThreadPool::leave() noexcept {
  const std::uint32_t before = ticket_.fetch_sub(1);
  if ((before & kOpen) != 0 || (before & kInside) != 1) return;
  if (!caller_sleeps_.load()) return;
  { MutexLock lock(sleep_); }
  job_left_.notify_one();
}

}  // namespace qasr
