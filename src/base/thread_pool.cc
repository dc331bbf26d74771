#include "base/thread_pool.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <string>
#include <system_error>

#include "base/cpu_topology.h"
#include "base/platform.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr std::uint32_t kInside = (1u << 11) - 1;
constexpr std::uint32_t kCallerSleeps = 1u << 11, kOpen = 1u << 12, kClaimed = 1u << 13;
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
  n_ranges_ = std::min(n_threads_, kMaxRanges);
  ranges_ = std::make_unique<Range[]>(static_cast<std::size_t>(kSlots * n_ranges_));
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
  const int slot = job.n_tasks <= 1 || workers_.empty() ? -1 : claim();
  if (slot < 0) {
    for (std::size_t task = 0; task < job.n_tasks; ++task) job.call(job.body, task, 0);
    return;
  }
  publish(slot, job);
  run_tasks(slot, 0);
  release(slot);
}

// ---- the caller's side ----------------------------------------------------------------------------------------------

int ThreadPool::claim() noexcept {
  for (int slot = 0; slot < kSlots; ++slot) {
    std::uint32_t expected = 0;
    std::atomic<std::uint32_t>& state = slots_[static_cast<std::size_t>(slot)].state;
    if (state.load(std::memory_order_relaxed) == 0 && state.compare_exchange_strong(expected, kClaimed)) return slot;
  }
  return -1;
}

void ThreadPool::publish(int slot, const Job& job) noexcept {
  Slot& s = slots_[static_cast<std::size_t>(slot)];
  s.job = job;
  for (int range = 0; range < n_ranges_; ++range) {
    next_of(slot, range).store(range_begin(job, range), std::memory_order_relaxed);
  }
  s.state.store(kClaimed | kOpen);
  const std::uint32_t open = open_.fetch_or(1u << slot) | 1u << slot;
  // A worker announces itself in sleepers_ before it looks at open_ for the last time (both sequentially consistent),
  // so either we see it here or it sees the job.
  if (sleepers_.load() > 0 && share(slot, open) > 0) {
    { MutexLock lock(sleep_); }
    job_posted_.notify_all();
  }
}

// No task is left: nobody may enter any more. Called by the slot's caller and by workers inside, any number of times.
void ThreadPool::close(int slot) noexcept {
  if ((open_.load() & 1u << slot) != 0) open_.fetch_and(~(1u << slot));
  std::atomic<std::uint32_t>& state = slots_[static_cast<std::size_t>(slot)].state;
  if ((state.load() & kOpen) != 0) state.fetch_and(~kOpen);
}

// The job is closed: waits for those inside to finish their tasks and gives the slot back.
void ThreadPool::release(int slot) noexcept {
  std::atomic<std::uint32_t>& state = slots_[static_cast<std::size_t>(slot)].state;
  const auto all_left = [&] { return (state.load() & kInside) == 0; };
  if (!spin(spin_us_, all_left)) {
    MutexLock lock(sleep_);
    state.fetch_or(kCallerSleeps);
    while (!all_left()) job_left_.wait(sleep_);
  }
  state.store(0);
}

// ---- both sides -----------------------------------------------------------------------------------------------------

std::size_t ThreadPool::range_begin(const Job& job, int range) const noexcept {
  return job.n_tasks * static_cast<std::size_t>(range) / static_cast<std::size_t>(n_ranges_);
}

std::atomic<std::size_t>& ThreadPool::next_of(int slot, int range) noexcept {
  return ranges_[static_cast<std::size_t>(slot * n_ranges_ + range)].next;
}

// The worker's own range, then what is left of the others.
void ThreadPool::run_tasks(int slot, int worker) noexcept {
  const Job job = slots_[static_cast<std::size_t>(slot)].job;
  const int own = worker * n_ranges_ / n_threads_;
  for (int n = 0; n < n_ranges_; ++n) {
    if (!run_range(slot, job, (own + n) % n_ranges_, worker)) return;
  }
  close(slot);
  if (worker != 0) leave(slot);
}

// False: the worker has left the job.
bool ThreadPool::run_range(int slot, const Job& job, int range, int worker) noexcept {
  std::atomic<std::size_t>& next = next_of(slot, range);
  const std::size_t end = range_begin(job, range + 1);
  while (next.load(std::memory_order_relaxed) < end) {
    const std::size_t task = next.fetch_add(1, std::memory_order_relaxed);
    if (task >= end) break;
    job.call(job.body, task, worker);
    if (worker != 0 && leave_if_crowded(slot)) return false;
  }
  return true;
}

// Workers that the job in this slot may have while the jobs of `open` run: with k of them n / k threads each, one more
// for the first n % k; its caller is one of them.
int ThreadPool::share(int slot, std::uint32_t open) const noexcept {
  const int n_jobs = std::max(1, std::popcount(open)), rank = std::popcount(open & ((1u << slot) - 1));
  return n_threads_ / n_jobs + (rank < n_threads_ % n_jobs ? 1 : 0) - 1;
}

// ---- the workers' side ----------------------------------------------------------------------------------------------

void ThreadPool::worker_main(int worker) noexcept {
  for (int slot = wait_for_job(); slot >= 0; slot = wait_for_job()) run_tasks(slot, worker);
}

// Enters a job that has room and returns its slot; -1 when the pool stops.
int ThreadPool::wait_for_job() noexcept {
  int slot = -1;
  const auto done = [&] { return (slot = enter_any()) >= 0 || stop_.load(); };
  // Callers that compute alone need all processors: no time to spin.
  const auto crowded = [&] { return std::popcount(open_.load(std::memory_order_relaxed)) >= n_threads_; };
  spin(spin_us_, [&] { return done() || crowded(); });
  if (slot < 0) {
    MutexLock lock(sleep_);
    sleepers_.fetch_add(1);
    while (!done()) job_posted_.wait(sleep_);
    sleepers_.fetch_sub(1);
  }
  return slot;
}

int ThreadPool::enter_any() noexcept {
  const std::uint32_t open = open_.load();
  for (std::uint32_t rest = open; rest != 0; rest &= rest - 1) {
    const int slot = std::countr_zero(rest);
    std::atomic<std::uint32_t>& state = slots_[static_cast<std::size_t>(slot)].state;
    std::uint32_t seen = state.load();
    while ((seen & kOpen) != 0 && static_cast<int>(seen & kInside) < share(slot, open)) {
      if (state.compare_exchange_weak(seen, seen + 1)) return slot;
    }
  }
  return -1;
}

// Other jobs have come since this worker entered, and its own has more workers than its share.
bool ThreadPool::leave_if_crowded(int slot) noexcept {
  const std::uint32_t open = open_.load(std::memory_order_relaxed);
  if (std::popcount(open) <= 1 || (open & 1u << slot) == 0) return false;
  std::atomic<std::uint32_t>& state = slots_[static_cast<std::size_t>(slot)].state;
  std::uint32_t seen = state.load();
  while ((seen & kOpen) != 0 && static_cast<int>(seen & kInside) > share(slot, open)) {
    if (state.compare_exchange_weak(seen, seen - 1)) return true;  // open: its caller is not waiting yet
  }
  return false;
}

void ThreadPool::leave(int slot) noexcept {
  const std::uint32_t before = slots_[static_cast<std::size_t>(slot)].state.fetch_sub(1);
  if ((before & kInside) != 1 || (before & kCallerSleeps) == 0) return;
  { MutexLock lock(sleep_); }
  job_left_.notify_all();
}

}  // namespace qasr
