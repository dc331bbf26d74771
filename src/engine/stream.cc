// Stream: the handle. Checks, then everything is StreamState's and the scheduler's.
#include "qasr/stream.h"

#include <algorithm>
#include <utility>

#include "engine/engine_impl.h"
#include "engine/scheduler.h"
#include "engine/stream_state.h"

namespace qasr {
namespace {

// No longer segments than the checkpoint was made for.
StreamOptions limited(StreamOptions options, const ModelConfig& config) {
  if (config.recommended_max_segment_s >= 5 && options.max_segment_s > config.recommended_max_segment_s) {
    options.max_segment_s = config.recommended_max_segment_s;
  }
  return options;
}

}  // namespace

struct Stream::Impl {
  Impl(std::shared_ptr<const Engine> owner, StreamOptions options)
      : engine(std::move(owner)),
        scheduler(engine->impl().schedulers.least_loaded()),
        state(std::make_shared<StreamState>(limited(std::move(options), engine->impl().model->config()), scheduler)) {
    const StreamSettings& settings = state->settings();
    scheduler.check_segment(settings.request, LiveSegmenter::max_samples(settings.segmentation));
    scheduler.add(state);
  }
  // Callbacks may refer to what the caller is about to destroy: none runs any more when this returns.
  ~Impl() {
    state->cancel();
    state->wait_for_end();
  }

  std::shared_ptr<const Engine> engine;
  Scheduler& scheduler;
  std::shared_ptr<StreamState> state;
};

Stream::Stream(std::shared_ptr<const Engine> engine, StreamOptions options) {
  if (engine == nullptr) throw Error(ErrorCode::kInvalidArgument, "Stream: the engine is null");
  impl_ = std::make_unique<Impl>(std::move(engine), std::move(options));
}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

bool Stream::push(std::span<const float> samples) {
  impl_->state->push(samples, true);
  return impl_->state->is_running();
}

bool Stream::push(std::span<const float> samples, int sample_rate) {
  const int expected = impl_->state->settings().sample_rate;
  if (sample_rate != expected) {
    throw Error(ErrorCode::kInvalidArgument, "push: samples at " + std::to_string(sample_rate) +
                                                 " Hz, the stream was opened with " + std::to_string(expected) +
                                                 " Hz; a stream has one rate");
  }
  return push(samples);
}

std::size_t Stream::try_push(std::span<const float> samples) { return impl_->state->push(samples, false); }

void Stream::flush() { impl_->state->flush(); }
void Stream::reset() { impl_->state->reset(); }
void Stream::close() { impl_->state->close(); }
void Stream::cancel() { impl_->state->cancel(); }

bool Stream::poll(StreamEvent& event) { return impl_->state->poll(event); }

bool Stream::wait(StreamEvent& event, double timeout_s) {
  if (impl_->scheduler.is_scheduler_thread()) {
    throw Error(ErrorCode::kInvalidArgument, "Stream::wait in a callback would wait for itself");
  }
  return impl_->state->wait(event, timeout_s);
}

StreamProgress Stream::progress() const { return impl_->state->progress(); }

}  // namespace qasr
