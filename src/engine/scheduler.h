// Scheduler: every segment of every request of one engine, over one model and one KV pool, on one thread.
//
//   loop: drop what was cancelled; admit waiting segments (priority, then the request with the fewest segments under
//         way, then the order of arrival); prepare a bounded number of rows (log-mel, encoder, prompt); decode a step
//
// Sequences join and leave between decode steps. Memory is bounded by the KV pool: a sequence begins with pages for its
// prompt and takes more as it grows; when none are left, the youngest of the lowest priority gives its pages back and
// goes on later from where it was. Row independence of the backends makes every answer the one the segment has alone.
// docs/scheduler.md explains the policy.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "base/mutex.h"
#include "engine/batch_runner.h"
#include "engine/request_state.h"
#include "model/model.h"
#include "qasr/options.h"
#include "qasr/request.h"

namespace qasr {

class SegmentJob;

class Scheduler final : public RequestObserver {
 public:
  /// Borrows both. The thread starts with the first request.
  Scheduler(Backend& backend, const Model& model, const SchedulerOptions& options, DType kv_dtype);
  /// Ends all requests (kCancelled) and joins the thread. Not to be called from a callback.
  ~Scheduler() override;

  /// Makes the request known. Its segments are taken from its queue, its callbacks run on the scheduler's thread.
  void add(const std::shared_ptr<RequestState>& request);

  /// Positions that one segment may use at most: the model's, or those of the KV pool if they are fewer.
  std::int64_t max_segment_positions();

  /// RequestObserver: something was pushed, finished or cancelled. Any thread.
  void on_change() override;

 private:
  void thread_main();
  bool wait_for_work();
  void drop_ended();
  void admit();
  bool admit_one();
  std::shared_ptr<RequestState> next_request();
  void finish_runs();
  void fail_all(const Error& error);

  BatchRunner runner_;
  const int max_batch_;

  // The scheduler's thread only.
  std::vector<std::unique_ptr<SegmentJob>> jobs_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::shared_ptr<RequestState>> requests_ QASR_GUARDED_BY(mutex_);
  bool dirty_ QASR_GUARDED_BY(mutex_) = false;
  bool stop_ QASR_GUARDED_BY(mutex_) = false;
  std::thread thread_ QASR_GUARDED_BY(mutex_);
};

}  // namespace qasr
