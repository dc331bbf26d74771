// One step of a stream: the segment so far is transcribed, as a fresh run would, from what is kept of the step before.
#include <algorithm>
#include <cmath>
#include <utility>

#include "audio/energy_split.h"
#include "base/stopwatch.h"
#include "engine/run_prompt.h"
#include "engine/stream_job.h"

namespace qasr {

// The segment ends. Null: the last step heard just that; its answer, which would come out again, was shown.
DecodeRun* StreamJob::final_step(std::uint64_t end, BatchRunner& runner) {
  if (!segment_->is_answered || end != segment_->heard_end) return begin_step(end, Goal::kFinal);
  goal_ = Goal::kFinal;
  release(runner);
  show_answer();
  return nullptr;
}

DecodeRun* StreamJob::begin_step(std::uint64_t end, Goal goal) {
  OpenSegment& segment = *segment_;
  segment.is_answered = false;
  const auto first = static_cast<std::size_t>(segment.begin - buffer_begin_);
  const auto n_samples = static_cast<std::size_t>(std::max(end, segment.begin) - segment.begin);
  std::span<const float> samples = std::span(buffer_).subspan(first, n_samples);
  goal_ = goal;
  segment.heard_end = end;
  segment.stepped_at = std::max(end, segmenter_->position());
  if (n_samples < kMinPieceSamples) {
    padded_.assign(samples.begin(), samples.end());
    padded_.resize(kMinPieceSamples);
    samples = padded_;
  }
  fill_run(samples, static_cast<double>(n_samples) / kSampleRate);
  const Stopwatch stopwatch;
  segment.audio.begin(samples, samples.size() - n_samples, segment.run->padding);
  segment.run->timings.preprocessing_ms = stopwatch.ms();
  segment.run->timings.n_frames = segment.audio.n_frames();
  is_busy_ = true;
  return segment.run.get();
}

// Committed tokens are the beginning of the answer; the rest of the last hypothesis is the draft.
void StreamJob::fill_run(std::span<const float> samples, double duration_s) {
  OpenSegment& segment = *segment_;
  const RequestSettings& settings = state_->settings().request;
  if (segment.run == nullptr) {
    segment.run =
        std::make_unique<DecodeRun>(TokenChooser(settings.sampling, 0), RepetitionGuard(settings.guards, duration_s));
  }
  DecodeRun& run = *segment.run;
  const int n_audio_tokens = model_.encoder().n_audio_tokens(model_.log_mel().n_frames(samples.size()));
  run.live = &segment.audio;
  run.timings = {};
  set_prompt(run, {model_, pool_positions_, settings}, segment.system_text, n_audio_tokens, duration_s);
  run.wants_log_probs = true;
  run.priority = Priority::kLive;
  run.order = order_;
  run.end = RunEnd::kNone;
  run.verdict = Verdict::kHealthy;
  run.error.reset();
  run.n_foreseen = run.n_encoded_rows = run.n_prefilled_rows = run.n_decode_steps = 0;
  run.scripted_tokens = static_cast<std::size_t>(std::ceil(duration_s * state_->settings().scripted_tokens_per_s));

  const auto n_forced = static_cast<std::ptrdiff_t>(segment.tracker.n_committed());
  const LiveAnswer& answer = segment.answer;
  run.ids.assign(answer.ids.begin(), answer.ids.begin() + n_forced);
  run.log_probs.assign(answer.log_probs.begin(), answer.log_probs.begin() + n_forced);
  run.draft.assign(answer.ids.begin() + n_forced, answer.ids.end());
  run.guard = RepetitionGuard(settings.guards, duration_s);
  for (const std::int32_t id : run.ids) run.guard.add(id);
}

void StreamJob::end_step(BatchRunner& runner) {
  OpenSegment& segment = *segment_;
  DecodeRun& run = *segment.run;
  is_busy_ = false;
  run.timings.preprocessing_ms += std::exchange(listening_ms_, 0);
  step_ms_ = run.timings.preprocessing_ms + run.timings.audio_encoding_ms + run.timings.text_generation_ms;
  segment.timings += run.timings;
  state_->add_step(run);
  if (run.end == RunEnd::kFailed) {
    state_->fail(*run.error);
    return;
  }
  const std::int64_t n_kept_rows = segment.audio.n_kept_rows();
  const std::vector<std::int32_t> forced(
      segment.answer.ids.begin(),
      segment.answer.ids.begin() + static_cast<std::ptrdiff_t>(segment.tracker.n_committed()));
  take_answer();
  segment.is_answered = true;
  if (tap_) {
    const auto first = static_cast<std::size_t>(segment.begin - buffer_begin_);
    tap_({.samples = std::span(buffer_).subspan(first, static_cast<std::size_t>(segment.heard_end - segment.begin)),
          .forced_ids = forced,
          .ids = segment.answer.ids,
          .n_kept_rows = n_kept_rows,
          .n_windows_again = segment.audio.n_windows_again(),
          .n_foreseen = run.n_foreseen});
  }
  if (goal_ == Goal::kFinal) {
    runner.remove(run);
  } else {
    runner.park(run, static_cast<int>(run.n_prefix) + static_cast<int>(segment.audio.n_stable_rows()));
  }
  if (state_->is_reset_pending()) return;  // nobody wants it any more
  show_answer();
}

// The answer without its end token, and without the rounds of a loop after the first.
void StreamJob::take_answer() {
  DecodeRun& run = *segment_->run;
  const RequestSettings& settings = state_->settings().request;
  if (run.scripted_tokens > 0) run.end = RunEnd::kTokenLimit;
  if (run.scripted_tokens == 0 && run.end == RunEnd::kTokenLimit && settings.guards.detect_repetition)
    run.verdict = Verdict::kRunsOn;
  std::size_t n_kept = run.ids.size() - (run.end == RunEnd::kEndToken ? 1 : 0);
  const Loop loop = run.guard.loop();
  if (run.verdict != Verdict::kHealthy && loop.period > 0) {
    n_kept = std::max(segment_->tracker.n_committed(), loop.begin + static_cast<std::size_t>(loop.period));
  }
  LiveAnswer& answer = segment_->answer;
  answer.ids.assign(run.ids.begin(), run.ids.begin() + static_cast<std::ptrdiff_t>(n_kept));
  answer.log_probs.assign(run.log_probs.begin(), run.log_probs.begin() + static_cast<std::ptrdiff_t>(n_kept));
  answer.truncated = run.end != RunEnd::kEndToken;
  answer.problem = run.verdict == Verdict::kHealthy ? "" : run.guard.describe(run.verdict);
}

void StreamJob::show_answer() {
  OpenSegment& segment = *segment_;
  const double heard_s = static_cast<double>(segment.heard_end) / kSampleRate;
  if (goal_ == Goal::kFinal) {
    const auto first = static_cast<std::size_t>(segment.begin - buffer_begin_);
    const auto n_samples = static_cast<std::size_t>(segment.heard_end - segment.begin);
    text_.end_segment(segment.answer, std::span(buffer_).subspan(first, n_samples), heard_s, segment.timings);
    state_->set_transcribed(heard_s);
    segment_.reset();
    return;
  }
  // An answer that loops is shown, not trusted; nor are words that may come to lie behind a cut.
  const bool is_trusted = segment.answer.problem.empty() && !segmenter_->is_cut_near();
  std::size_t n_committed = segment.tracker.n_committed();
  if (is_trusted && goal_ == Goal::kPartial) {
    n_committed = segment.tracker.add(segment.answer.ids, segment.answer.log_probs);
  }
  if (is_trusted && goal_ == Goal::kPause) n_committed = segment.tracker.at_pause(segment.answer.ids);
  text_.show(segment.answer, n_committed, heard_s);
  state_->set_transcribed(heard_s);
  if (goal_ == Goal::kPause) emit(StreamEvent::Kind::kEndpoint, static_cast<double>(speech_end_) / kSampleRate);
}

}  // namespace qasr
