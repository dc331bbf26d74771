// What comes in and when a step is due. The step itself is in stream_step.cc.
#include "engine/stream_job.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/stopwatch.h"

namespace qasr {
namespace {

constexpr double kBehind_s = 2;       // of waiting audio: steps are left out
constexpr double kIdleTake_s = 0.1;   // while no segment is open
constexpr double kTake_s = 1;         // of input that is looked at in one go
constexpr double kListen_s = 2;       // of input at a time: other streams wait meanwhile
constexpr double kLongestWait_s = 4;  // for a step, whatever the last one cost
constexpr std::uint64_t kLeastStepSamples = kSampleRate / 2;
constexpr std::uint64_t kQuietSamples = kSampleRate * 3 / 10;    // after which nothing new is heard; see kPad of
                                                                 // LiveSegmenter: where a segment ends in a pause
constexpr std::uint64_t kHeardSamples = kSampleRate * 24 / 100;  // behind speech that a step must have heard

}  // namespace

StreamJob::OpenSegment::OpenSegment(Backend& backend, const Model& model, const StreamSettings& settings)
    : audio(backend, model, LiveSegmenter::max_samples(settings.segmentation) + kSampleRate),
      tracker(settings.commit, model.tokenizer(), !settings.request.forced_language.empty()) {}

StreamJob::StreamJob(Backend& backend, const Model& model, std::int64_t pool_positions,
                     std::shared_ptr<StreamState> state, LiveStepTap tap)
    : backend_(backend),
      model_(model),
      pool_positions_(pool_positions),
      state_(std::move(state)),
      tap_(std::move(tap)),
      text_(model, *state_) {
  start_over(0);
}

void StreamJob::start_over(std::uint64_t first_sample) {
  n_received_ = buffer_begin_ = first_sample;
  buffer_.clear();
  segmenter_.emplace(state_->settings().segmentation, first_sample);
  const int rate = state_->settings().sample_rate;
  if (rate != kSampleRate) resampler_ = std::make_unique<Resampler>(rate);
}

DecodeRun* StreamJob::next_step(BatchRunner& runner, std::uint64_t order) {
  if (is_busy_) return nullptr;
  order_ = order;
  const Stopwatch stopwatch;
  double heard_s = 0;
  has_more_ = false;
  const auto find_step = [&]() -> DecodeRun* {
    for (;;) {
      LiveMark mark;
      if (segmenter_->next(mark)) {
        if (DecodeRun* run = on_mark(mark, runner)) return run;
        continue;
      }
      if (flush_) {
        if (DecodeRun* run = flush_step(runner)) return run;
        continue;
      }
      // A stream that keeps up takes its steps where they are due, however much is pushed at a time; one that is behind
      // skips them.
      if (state_->buffered_s() <= kBehind_s) {
        if (DecodeRun* run = partial_step()) return run;
      }
      has_more_ = heard_s >= kListen_s;
      if (has_more_) return nullptr;
      std::optional<StreamInput> input = state_->take(samples_to_take());
      if (!input) return nullptr;
      heard_s += static_cast<double>(input->samples.size()) / state_->settings().sample_rate;
      on_input(*input, runner);
    }
  };
  DecodeRun* run = find_step();
  listening_ms_ += stopwatch.ms();
  if (run == nullptr && !has_more_) state_->set_idle();
  if (segment_ == nullptr) state_->set_transcribed(static_cast<double>(segmenter_->position()) / kSampleRate);
  return run;
}

// Up to where the next step is due.
std::size_t StreamJob::samples_to_take() const {
  const double rate = state_->settings().sample_rate;
  const std::uint64_t due = segment_ == nullptr ? 0 : due_end();
  const double left_s = due > n_received_ ? static_cast<double>(due - n_received_) / kSampleRate : 0;
  return static_cast<std::size_t>(std::ceil((left_s > 0 ? std::min(left_s, kTake_s) : kIdleTake_s) * rate));
}

void StreamJob::on_input(StreamInput& input, BatchRunner& runner) {
  switch (input.kind) {
    case StreamInput::Kind::kSamples:
      resampled_.clear();
      if (resampler_ != nullptr) resampler_->push(input.samples, resampled_);
      return listen(resampler_ != nullptr ? resampled_ : input.samples);
    case StreamInput::Kind::kReset: {
      drop_segment(runner);
      text_.forget_tail();
      const auto rate = static_cast<std::uint64_t>(state_->settings().sample_rate);
      return start_over(n_received_ + input.n_dropped * kSampleRate / rate);
    }
    case StreamInput::Kind::kFlush:
    case StreamInput::Kind::kClose:
      flush_ = input.kind;
      if (resampler_ == nullptr) return;
      resampled_.clear();
      resampler_->finish(resampled_);
      return listen(resampled_);
  }
}

void StreamJob::listen(std::span<const float> samples) {
  trim_buffer();
  buffer_.insert(buffer_.end(), samples.begin(), samples.end());
  n_received_ += samples.size();
  segmenter_->push(samples);
}

void StreamJob::trim_buffer() {
  const std::uint64_t first = segment_ != nullptr ? segment_->begin : segmenter_->earliest_open();
  const auto n =
      static_cast<std::size_t>(std::min<std::uint64_t>(first - std::min(first, buffer_begin_), buffer_.size()));
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(n));
  buffer_begin_ += n;
}

void StreamJob::open_segment(std::uint64_t first_sample) {
  segment_ = std::make_unique<OpenSegment>(backend_, model_, state_->settings());
  segment_->begin = segment_->heard_end = segment_->stepped_at = first_sample;
  segment_->system_text = state_->settings().request.system_text;
  const std::string said = text_.tail(state_->settings().carry_context_bytes);
  if (!said.empty()) segment_->system_text += (segment_->system_text.empty() ? "" : "\n") + said;
  text_.begin_segment(static_cast<double>(first_sample) / kSampleRate);
}

void StreamJob::drop_segment(BatchRunner& runner) {
  if (segment_ == nullptr) return;
  text_.drop_segment();
  release(runner);
  segment_.reset();
}

void StreamJob::release(BatchRunner& runner) {
  if (segment_ != nullptr && segment_->run != nullptr) runner.remove(*segment_->run);
  is_busy_ = false;
}

DecodeRun* StreamJob::on_mark(const LiveMark& mark, BatchRunner& runner) {
  switch (mark.kind) {
    case LiveMark::Kind::kOpen:
      open_segment(mark.sample);
      return nullptr;
    case LiveMark::Kind::kDrop:
      if (segment_ != nullptr && text_.has_committed_text()) return final_step(mark.sample, runner);
      drop_segment(runner);
      return nullptr;
    case LiveMark::Kind::kClose:
      if (segment_ == nullptr) return nullptr;
      return final_step(mark.sample, runner);
    case LiveMark::Kind::kEndpoint: {
      speech_end_ = mark.sample;
      const bool commits = state_->settings().commit.policy == CommitPolicy::kAgreement && segment_ != nullptr;
      if (commits && segment_->heard_end < mark.sample + kHeardSamples) {
        return begin_step(std::min(segmenter_->position(), mark.sample + kQuietSamples), Goal::kPause);
      }
      if (commits) {
        goal_ = Goal::kPause;
        show_answer();
        return nullptr;
      }
      emit(StreamEvent::Kind::kEndpoint, static_cast<double>(mark.sample) / kSampleRate);
      return nullptr;
    }
  }
  return nullptr;
}

// Audio between two steps: where the last one was expensive, more.
std::uint64_t StreamJob::step_samples() const {
  const StreamSettings& settings = state_->settings();
  if (settings.max_load == 0) return settings.chunk_samples;
  const double paid_for_s = std::min(step_ms_ / 1000 / settings.max_load, kLongestWait_s);
  return std::max<std::uint64_t>(settings.chunk_samples, static_cast<std::uint64_t>(paid_for_s * kSampleRate));
}

// Where steps are rarer than they should be, they end with complete chunks of the encoder, so many that its windows are
// whole multiples: what would be an open window of another length is complete and is computed once. 0: no such grid.
std::uint64_t StreamJob::grid_samples() const {
  const std::uint64_t step = step_samples();
  if (step <= state_->settings().chunk_samples) return 0;
  const LiveAudio& audio = segment_->audio;
  std::size_t n_chunks = 1;
  while (n_chunks < audio.chunks_per_window() && audio.samples_of_chunks(n_chunks) < step) n_chunks *= 2;
  if (audio.chunks_per_window() % n_chunks != 0) return 0;
  return audio.samples_of_chunks(n_chunks + 1) - audio.samples_of_chunks(1);
}

// Where the next step is to end: one step behind the last one, or on the grid if that is near.
std::uint64_t StreamJob::due_end() const {
  const std::uint64_t step = step_samples(), due = segment_->stepped_at + step, grid = grid_samples();
  if (grid == 0) return due;
  const std::uint64_t origin = segment_->begin + segment_->audio.samples_of_chunks(0);
  const std::uint64_t aligned = origin + (due - std::min(due, origin) + grid / 2) / grid * grid;
  return std::max(aligned, due) - std::min(aligned, due) <= step / 4 ? aligned : due;
}

// Enough new audio, and something in it. In a pause the step ends where the segment would.
DecodeRun* StreamJob::partial_step() {
  if (segment_ == nullptr || !state_->has_room()) return nullptr;
  const std::uint64_t position = segmenter_->position(), due = due_end();
  if (position < due || position < segment_->begin + kLeastStepSamples) return nullptr;
  const std::uint64_t quiet_from = segmenter_->active_end() + kQuietSamples;
  if (state_->settings().segmentation.voice_activity && position >= quiet_from) {
    if (segment_->heard_end >= segmenter_->active_end() + kHeardSamples) return nullptr;
    return begin_step(std::max(quiet_from, segment_->begin + kLeastStepSamples), Goal::kPartial);
  }
  return begin_step(position < due + kSampleRate / 10 ? due : position, Goal::kPartial);
}

DecodeRun* StreamJob::flush_step(BatchRunner& runner) {
  LiveMark mark;
  if (segment_ == nullptr && segmenter_->open_rest(mark)) open_segment(mark.sample);
  if (segment_ != nullptr) {
    if (DecodeRun* run = final_step(n_received_, runner)) return run;
    drop_segment(runner);
  }
  const StreamInput::Kind kind = *std::exchange(flush_, std::nullopt);
  start_over(n_received_);
  const double now_s = static_cast<double>(n_received_) / kSampleRate;
  state_->set_transcribed(now_s);
  if (kind == StreamInput::Kind::kFlush) {
    emit(StreamEvent::Kind::kFlushed, now_s);
  } else {
    state_->finish();
  }
  return nullptr;
}

void StreamJob::emit(StreamEvent::Kind kind, double end_s) {
  StreamEvent event{.kind = kind};
  event.start_s = event.end_s = end_s;
  state_->emit(std::move(event));
}

}  // namespace qasr
