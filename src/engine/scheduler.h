// Scheduler: every segment of its requests, over one copy of the model and one KV pool, on one thread. An engine has
// one per device (scheduler_group.h).
//
//   loop: drop what was cancelled; admit waiting segments (priority, then the request with the fewest segments under
//         way, then the one served longest ago); prepare a bounded number of rows; decode a step; deliver what ended
//
// Sequences join and leave between decode steps. Memory is bounded by the KV pool: a sequence begins with pages for its
// prompt and takes more as it grows; when none are left, the youngest of the lowest priority gives its pages back and
// goes on later from where it was. Row independence of the backends makes every answer the one the segment has alone.
// docs/scheduler.md explains the policy.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "base/mutex.h"
#include "engine/batch_runner.h"
#include "engine/live_turns.h"
#include "engine/request_state.h"
#include "engine/scheduler_group.h"
#include "engine/segment_job.h"
#include "engine/stream_job.h"
#include "model/model.h"
#include "qasr/engine.h"
#include "qasr/options.h"

namespace qasr {

class Scheduler final : public RequestObserver {
 public:
  /// Borrows all three and joins the group. The thread starts with the first request.
  /// @throws Error kInvalidArgument  a negative option
  Scheduler(SchedulerGroup& group, Backend& backend, const Model& model, const SchedulerOptions& options,
            DType kv_dtype);
  /// All requests must have ended (their handles hold the engine). Not to be called from a callback.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;

  const BatchLimits& limits() const { return runner_.limits(); }

  /// Makes the request known. Its segments are taken from its queue, its callbacks run on the scheduler's thread.
  void add(const std::shared_ptr<RequestState>& request) QASR_EXCLUDES(mutex_);

  /// The same for a live stream.
  /// @param tap  told of every step, on the scheduler's thread; for tests
  void add(const std::shared_ptr<StreamState>& stream, LiveStepTap tap = {}) QASR_EXCLUDES(mutex_);
  /// As of the last round.
  EngineLoad load() const QASR_EXCLUDES(load_mutex_);

  void on_change() override QASR_EXCLUDES(mutex_);
  void check_segment(const RequestSettings& settings, std::size_t n_samples) override;
  bool is_scheduler_thread() const override { return group_.is_scheduler_thread(); }
  Mutex& callback_mutex() override { return group_.callback_mutex(); }

  bool runs_on_this_thread() const { return thread_id_.load() == std::this_thread::get_id(); }
  /// The device has failed for good: what is here fails, and nothing new should come. Any thread.
  bool is_lost() const { return is_lost_; }
  /// Live streams that have not ended. Any thread.
  std::size_t n_streams() const { return n_streams_; }
  /// Segments begun so far. Any thread.
  std::uint64_t n_served() const { return n_served_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Requests = std::vector<std::shared_ptr<RequestState>>;

  void start_thread() QASR_REQUIRES(mutex_);
  void thread_main() QASR_EXCLUDES(mutex_);
  bool wait_for_work() QASR_EXCLUDES(mutex_);
  void drop_ended();
  void drop_job(std::size_t index);
  void admit();
  bool begin_next(Priority priority);
  void enqueue(DecodeRun& run);
  void compute();
  void compute_offline();
  void compute_together();
  void note_live(bool any_live);
  bool is_live_expected() const;
  void handle_ended_runs();
  void deliver(std::span<const std::unique_ptr<SegmentJob>> done);
  void drop_ended_streams();
  void begin_steps();
  bool end_step(DecodeRun& run);
  void fail_owner(const DecodeRun& run, const Error& error);
  void note_error(const Error& error);
  void publish_load() QASR_EXCLUDES(load_mutex_);

  SchedulerGroup& group_;
  Backend& backend_;
  const Model& model_;
  BatchRunner runner_;

  // The scheduler's thread only.
  Requests active_;                                  // all that have not ended
  std::vector<std::unique_ptr<SegmentJob>> jobs_;    // segments under way
  std::vector<std::unique_ptr<StreamJob>> streams_;  // all that have not ended
  std::vector<DecodeRun*> queue_;                    // their runs that wait for pages: live first, then the older

  LiveTurns turns_;
  std::uint64_t n_heard_live_ = 0;              // samples of all streams, when last_live_ was set
  std::optional<Clock::time_point> last_live_;  // when live audio came last

  std::atomic<std::thread::id> thread_id_{};
  std::atomic<std::uint64_t> n_served_{0};
  std::atomic<std::size_t> n_streams_{0};
  std::atomic<bool> is_lost_{false};
  std::atomic<bool> has_changed_{false};
  Mutex mutex_;
  CondVar changed_;
  Requests added_ QASR_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<StreamJob>> added_streams_ QASR_GUARDED_BY(mutex_);
  bool stop_ QASR_GUARDED_BY(mutex_) = false;
  std::thread thread_ QASR_GUARDED_BY(mutex_);

  mutable Mutex load_mutex_;
  EngineLoad load_ QASR_GUARDED_BY(load_mutex_);
};

}  // namespace qasr
