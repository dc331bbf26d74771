// The scheduler's live streams: their steps are runs like others, of live priority.
#include <algorithm>

#include "engine/attempt.h"
#include "engine/scheduler.h"

namespace qasr {

void Scheduler::add(const std::shared_ptr<StreamState>& stream, LiveStepTap tap) {
  auto job = std::make_unique<StreamJob>(backend_, model_, runner_.limits().pool_positions, stream, std::move(tap));
  const MutexLock lock(mutex_);
  start_thread();
  added_streams_.push_back(std::move(job));
  ++n_streams_;
  has_changed_ = true;
  changed_.notify_all();
}

void Scheduler::drop_ended_streams() {
  for (std::size_t index = 0; index < streams_.size();) {
    if (!streams_[index]->state().has_ended()) {
      ++index;
      continue;
    }
    const std::unique_ptr<StreamJob> job = std::move(streams_[index]);
    streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(index));
    std::erase(queue_, job->active_run());
    job->release(runner_);
    --n_streams_;
    job->state().end();
  }
}

// Streams that were not served for longest go first.
void Scheduler::begin_steps() {
  const auto max_live = 2 * static_cast<std::size_t>(runner_.limits().max_batch);
  for (std::size_t n_left = streams_.size(); n_left > 0 && runner_.n_runs() + queue_.size() < max_live; --n_left) {
    StreamJob& job = *streams_.front();
    std::rotate(streams_.begin(), streams_.begin() + 1, streams_.end());
    DecodeRun* run = nullptr;
    const auto error = attempt("stream", [&] { run = job.next_step(runner_, n_served_ + 1); });
    if (error) job.state().fail(*error);
    if (job.state().has_ended() || job.has_more()) has_changed_ = true;
    if (run == nullptr) continue;
    ++n_served_;
    enqueue(*run);
  }
}

bool Scheduler::end_step(DecodeRun& run) {
  const auto job =
      std::find_if(streams_.begin(), streams_.end(), [&](const auto& j) { return j->active_run() == &run; });
  if (job == streams_.end()) return false;
  if (const auto error = attempt("stream", [&] { (*job)->end_step(runner_); })) (*job)->state().fail(*error);
  has_changed_ = true;  // perhaps more audio has come
  return true;
}

void Scheduler::fail_owner(const DecodeRun& run, const Error& error) {
  has_changed_ = true;
  for (const auto& stream : streams_) {
    if (stream->active_run() == &run) return stream->state().fail(error);
  }
  const auto job = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& j) { return j->owns(run); });
  (*job)->request().fail(error);
}

}  // namespace qasr
