// Request: the handle. Checks, then everything is RequestState's and the scheduler's.
#include "qasr/request.h"

#include <utility>

#include "engine/engine_impl.h"
#include "engine/request_state.h"
#include "engine/scheduler_group.h"

namespace qasr {

struct Request::Impl {
  Impl(std::shared_ptr<const Engine> owner, RequestOptions options)
      : engine(std::move(owner)), schedulers(engine->impl().schedulers), state(schedulers.submit(std::move(options))) {}
  // Callbacks may refer to what the caller is about to destroy: none runs any more when this returns.
  ~Impl() {
    state->cancel();
    state->wait_for_end();
  }

  std::shared_ptr<const Engine> engine;
  SchedulerGroup& schedulers;
  std::shared_ptr<RequestState> state;
};

Request::Request(std::shared_ptr<const Engine> engine, RequestOptions options) {
  if (engine == nullptr) throw Error(ErrorCode::kInvalidArgument, "Request: the engine is null");
  impl_ = std::make_unique<Impl>(std::move(engine), std::move(options));
}
Request::~Request() = default;
Request::Request(Request&&) noexcept = default;
Request& Request::operator=(Request&&) noexcept = default;

bool Request::push_segment(std::span<const float> samples, double start_s) {
  return push_segment(std::vector<float>(samples.begin(), samples.end()), start_s);
}

bool Request::push_segment(std::vector<float>&& samples, double start_s) {
  PendingSegment segment{.owned = std::move(samples), .start_s = start_s};
  segment.samples = segment.owned;
  return impl_->state->push(std::move(segment), true) == Push::kAdded;
}

Request::Push Request::try_push_segment(std::span<const float> samples, double start_s) {
  PendingSegment segment{.owned = {samples.begin(), samples.end()}, .start_s = start_s};
  segment.samples = segment.owned;
  return impl_->state->push(std::move(segment), false);
}

void Request::finish() { impl_->state->finish(); }
void Request::cancel() { impl_->state->cancel(); }

Transcript Request::wait() {
  if (impl_->schedulers.is_scheduler_thread()) {
    throw Error(ErrorCode::kInvalidArgument, "Request::wait in a callback would wait for itself");
  }
  impl_->state->finish();
  impl_->state->wait_for_end();
  return impl_->state->take_transcript();
}

RequestStatus Request::status() const { return impl_->state->status(); }
RequestProgress Request::progress() const { return impl_->state->progress(); }

}  // namespace qasr
