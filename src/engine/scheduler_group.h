// SchedulerGroup: the schedulers of one engine, one per copy of its model, behind one door. A new request goes to the
// one with the least to do and stays there; one whose device is lost gets none while others work.
#pragma once

#include <memory>
#include <vector>

#include "base/mutex.h"
#include "engine/request_state.h"

namespace qasr {

class Scheduler;

class SchedulerGroup {
 public:
  SchedulerGroup() = default;
  SchedulerGroup(const SchedulerGroup&) = delete;

  /// Before the first request only. Borrows.
  void join(Scheduler& scheduler) QASR_EXCLUDES(mutex_);

  /// Makes a request and hands it to a scheduler.
  /// @throws Error  what RequestState and Scheduler::add throw
  std::shared_ptr<RequestState> submit(RequestOptions options) QASR_EXCLUDES(mutex_);

  /// The scheduler for what comes next: the one with the fewest segments that are not done (a request without any
  /// counts as one, and so does a live stream), the one served longest ago among equals.
  Scheduler& least_loaded() QASR_EXCLUDES(mutex_);

  /// Whether the caller is a callback of this engine. Any thread.
  bool is_scheduler_thread() const;
  /// Held while a callback runs: one at a time per engine, however many schedulers it has.
  Mutex& callback_mutex() { return callback_mutex_; }

 private:
  struct Member {
    Scheduler* scheduler;
    std::vector<std::weak_ptr<RequestState>> requests;  // perhaps some that have ended
    std::uint64_t last_served = 0;
  };
  Member& choose() QASR_REQUIRES(mutex_);

  Mutex mutex_, callback_mutex_;
  std::vector<Member> members_;  // grows before the first request only; what is in a member is guarded by mutex_
  std::uint64_t n_served_ QASR_GUARDED_BY(mutex_) = 0;
};

}  // namespace qasr
