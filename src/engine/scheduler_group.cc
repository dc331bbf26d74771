#include "engine/scheduler_group.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "engine/scheduler.h"

namespace qasr {
namespace {

// Segments that are not done, of requests that have not ended; forgets the others.
std::size_t count_open_segments(std::vector<std::weak_ptr<RequestState>>& requests) {
  std::size_t n_open = 0;
  std::erase_if(requests, [&](const std::weak_ptr<RequestState>& weak) {
    const std::shared_ptr<RequestState> request = weak.lock();
    if (request == nullptr || request->has_ended()) return true;
    const RequestProgress progress = request->progress();
    n_open += std::max<std::size_t>(1, progress.n_segments - progress.n_segments_done);
    return false;
  });
  return n_open;
}

}  // namespace

void SchedulerGroup::join(Scheduler& scheduler) {
  const MutexLock lock(mutex_);
  members_.push_back({&scheduler, {}});
}

SchedulerGroup::Member& SchedulerGroup::choose() {
  QASR_CHECK(!members_.empty());
  Member* chosen = nullptr;
  std::tuple<bool, std::size_t, std::uint64_t> least;
  for (Member& member : members_) {
    const std::size_t n_open = count_open_segments(member.requests) + member.scheduler->n_streams();
    const std::tuple rank(member.scheduler->is_lost(), n_open, member.last_served);
    if (chosen != nullptr && rank >= least) continue;
    chosen = &member;
    least = rank;
  }
  chosen->last_served = ++n_served_;
  return *chosen;
}

std::shared_ptr<RequestState> SchedulerGroup::submit(RequestOptions options) {
  const MutexLock lock(mutex_);
  Member& member = choose();
  auto request = std::make_shared<RequestState>(std::move(options), *member.scheduler);
  member.scheduler->add(request);
  if (members_.size() > 1) member.requests.push_back(request);
  return request;
}

Scheduler& SchedulerGroup::least_loaded() {
  const MutexLock lock(mutex_);
  return *choose().scheduler;
}

bool SchedulerGroup::is_scheduler_thread() const {
  return std::any_of(members_.begin(), members_.end(),
                     [](const Member& member) { return member.scheduler->runs_on_this_thread(); });
}

}  // namespace qasr
