#include "engine/segment_job.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "audio/energy_split.h"
#include "engine/answer_segment.h"
#include "engine/run_prompt.h"
#include "engine/segmenter.h"
#include "qasr/audio.h"
#include "text/asr_output.h"

namespace qasr {
namespace {

constexpr std::size_t kMinCutSamples = 2 * kSampleRate;
constexpr double kRecoveryPenalty = 1.2;
constexpr int kRecoveryNgram = 4;
constexpr double kWarmTemperature = 0.4, kHotTemperature = 0.8;

// A penalty or a temperature makes some end to every loop; where the model did not mean any of it, the words are
// invented. Speech that is recognised at all stays above this mean log-probability.
constexpr double kLeastLogProb = -1.5;

double seconds(std::size_t n_samples) { return static_cast<double>(n_samples) / kSampleRate; }

std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", value);
  return text;
}

}  // namespace

SegmentJob::SegmentJob(const Model& model, std::int64_t pool_positions, std::shared_ptr<RequestState> request,
                       PendingSegment segment, std::uint64_t order)
    : model_(model),
      pool_positions_(pool_positions),
      request_(std::move(request)),
      segment_(std::move(segment)),
      order_(order),
      stream_(!request_->settings().forced_language.empty()) {
  streams_ = request_->wants_text();
  parts_.push_back(std::make_unique<Part>());
  parts_.front()->n_samples = segment_.samples.size();
  begin_part(*parts_.front());
}

double SegmentJob::duration_s() const { return seconds(segment_.samples.size()); }

// Makes the first run of a part.
void SegmentJob::begin_part(Part& part) {
  const RequestSettings& settings = request_->settings();
  std::span<const float> samples = segment_.samples.subspan(part.first_sample, part.n_samples);
  const bool is_cut = part.n_samples != segment_.samples.size();
  if ((settings.pad_short_clips || is_cut) && samples.size() < kMinPieceSamples) {
    part.padded.assign(samples.begin(), samples.end());
    part.padded.resize(kMinPieceSamples);
    samples = part.padded;
  }
  const int n_frames = model_.log_mel().n_frames(samples.size());
  if (n_frames == 0) {
    part.is_done = true;
    return;
  }
  const int n_audio_tokens = model_.encoder().n_audio_tokens(n_frames);
  const double duration_s = seconds(part.n_samples);
  part.run = std::make_unique<DecodeRun>(chooser_for(part), RepetitionGuard(settings.guards, duration_s));
  DecodeRun& run = *part.run;
  run.samples = samples;
  set_prompt(run, {model_, pool_positions_, settings}, settings.system_text, n_audio_tokens, duration_s);
  run.wants_log_probs = settings.wants_log_probs || part.level > Level::kAsked;
  run.priority = request_->priority();
  run.order = order_;
  run.listener = this;
  new_runs_.push_back(&run);
}

// Every attempt at every part draws from a stream of its own.
TokenChooser SegmentJob::chooser_for(const Part& part) const {
  const std::uint64_t stream =
      (segment_.index << 8) + (part.first_sample > 0 ? 16U : 0U) + static_cast<std::uint64_t>(part.level);
  return {sampling_at(part.level), stream};
}

SamplingOptions SegmentJob::sampling_at(Level level) const {
  SamplingOptions sampling = request_->settings().sampling;
  if (level < Level::kPenalty) return sampling;
  sampling.repetition_penalty = std::max(sampling.repetition_penalty, kRecoveryPenalty);
  if (sampling.no_repeat_ngram_size == 0) sampling.no_repeat_ngram_size = kRecoveryNgram;
  if (level == Level::kWarm) sampling.temperature = std::max(sampling.temperature, kWarmTemperature);
  if (level == Level::kHot) sampling.temperature = std::max(sampling.temperature, kHotTemperature);
  return sampling;
}

std::vector<DecodeRun*> SegmentJob::take_new_runs() { return std::exchange(new_runs_, {}); }

std::vector<DecodeRun*> SegmentJob::runs() const {
  std::vector<DecodeRun*> all;
  for (const auto& part : parts_) {
    if (part->run != nullptr) all.push_back(part->run.get());
  }
  return all;
}

bool SegmentJob::owns(const DecodeRun& run) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const auto& part) { return part->run.get() == &run; });
}

bool SegmentJob::is_done() const {
  return std::all_of(parts_.begin(), parts_.end(), [](const auto& part) { return part->is_done; });
}

void SegmentJob::on_token(const DecodeRun& run) {
  if (!streams_) return;
  request_->deliver_text(segment_.index, stream_.feed(model_.tokenizer().token_bytes(run.ids.back())));
}

void SegmentJob::on_run_end(DecodeRun& run, BatchRunner& runner) {
  Part& part = **std::find_if(parts_.begin(), parts_.end(), [&](const auto& p) { return p->run.get() == &run; });
  if (run.end == RunEnd::kFailed) {
    request_->fail(*run.error);
    return end_part(part, runner);
  }
  const RequestSettings& settings = request_->settings();
  // Without a limit of the caller's, an answer that fills its budget runs on.
  const bool fills_budget = run.end == RunEnd::kTokenLimit && settings.max_tokens == 0;
  if (fills_budget && settings.guards.detect_repetition) run.verdict = Verdict::kRunsOn;
  const bool is_healthy = run.verdict == Verdict::kHealthy && (part.level < Level::kPenalty || is_plausible(run));
  if (is_healthy || part.problem.empty()) part.answer = kept_answer(run, part.level);
  if (is_healthy) return end_part(part, runner);

  if (part.problem.empty()) part.problem = run.guard.describe(run.verdict);
  streams_ = false;
  if (!settings.guards.recover) {
    part.level = Level::kGivenUp;
    return end_part(part, runner);
  }
  next_attempt(part, runner);
}

bool SegmentJob::is_plausible(const DecodeRun& run) const {
  double sum = 0;
  for (const float log_prob : run.log_probs) sum += log_prob;
  return sum >= kLeastLogProb * static_cast<double>(run.log_probs.size());
}

SegmentJob::Level SegmentJob::next_level(const Part& part) const {
  const bool is_whole = parts_.size() == 1;
  switch (part.level) {
    case Level::kAsked:
      return is_whole && part.n_samples >= kMinCutSamples ? Level::kCut : Level::kPenalty;
    case Level::kCut:
      return Level::kPenalty;
    case Level::kPenalty:
      return Level::kWarm;
    case Level::kWarm:
      return Level::kHot;
    default:
      return Level::kGivenUp;
  }
}

void SegmentJob::next_attempt(Part& part, BatchRunner& runner) {
  part.level = next_level(part);
  if (part.level == Level::kCut) return cut_part(part, runner);
  if (part.level == Level::kGivenUp) return end_part(part, runner);
  const RequestSettings& settings = request_->settings();
  part.run->wants_log_probs = true;
  part.run->chooser = chooser_for(part);
  part.run->guard = RepetitionGuard(settings.guards, seconds(part.n_samples));
  runner.restart(*part.run);
}

// Replaces the one part by two.
void SegmentJob::cut_part(Part& part, BatchRunner& runner) {
  timings_ += part.run->timings;
  runner.release(*part.run);
  const std::size_t quarter = part.n_samples / 4;
  const std::size_t cut =
      std::max<std::size_t>(1, quarter + quietest_point(segment_.samples.subspan(quarter, part.n_samples / 2)));
  cut_ = "cut at " + one_decimal(seconds(cut)) + " s";
  const std::string problem = std::move(part.problem);
  const std::size_t n_samples = part.n_samples;
  parts_.clear();  // `part` is gone
  for (const auto& [first, count] : {std::pair<std::size_t, std::size_t>{0, cut}, {cut, n_samples - cut}}) {
    Part& half = *parts_.emplace_back(std::make_unique<Part>());
    half.first_sample = first;
    half.n_samples = count;
    half.level = Level::kCut;
  }
  first_problem_ = problem;
  for (const auto& half : parts_) begin_part(*half);
}

void SegmentJob::end_part(Part& part, BatchRunner& runner) {
  timings_ += part.run->timings;
  runner.release(*part.run);
  part.run.reset();
  part.is_done = true;
}

// The answer, without its end token and without the rounds of a loop after the first.
SegmentJob::Answer SegmentJob::kept_answer(const DecodeRun& run, Level level) const {
  Answer answer{.ids = run.ids, .log_probs = run.log_probs};
  answer.temperature = sampling_at(level).temperature;
  answer.truncated = run.end == RunEnd::kTokenLimit || run.end == RunEnd::kGuard;
  std::size_t n_kept = run.ids.size() - (run.end == RunEnd::kEndToken ? 1 : 0);
  const Loop loop = run.guard.loop();
  if (run.verdict != Verdict::kHealthy && loop.period > 0) {
    n_kept = loop.begin + static_cast<std::size_t>(loop.period);
  }
  answer.ids.resize(n_kept);
  if (!answer.log_probs.empty()) answer.log_probs.resize(n_kept);
  return answer;
}

void SegmentJob::append_answer(const Answer& answer, Segment& segment, std::vector<std::string>& spoken) const {
  const std::string& forced_language = request_->settings().forced_language;
  const std::string raw = model_.tokenizer().decode(answer.ids);
  AsrOutput output = parse_asr_output(raw, forced_language);
  segment.raw_text += (segment.raw_text.empty() ? "" : "\n") + raw;
  segment.text += segment_separator(segment.text, output.text) + output.text;
  segment.truncated = segment.truncated || answer.truncated;
  segment.temperature = std::max(segment.temperature, answer.temperature);
  spoken.push_back(std::move(output.language));
  if (!request_->settings().wants_log_probs || output.text.empty()) return;
  append_text_tokens(model_.tokenizer(), forced_language, answer.ids, answer.log_probs, segment.tokens);
}

Segment SegmentJob::finish() {
  Segment segment;
  segment.start_s = segment_.start_s;
  segment.end_s = segment_.start_s + duration_s();
  std::vector<std::string> spoken;
  for (const auto& part : parts_) append_answer(part->answer, segment, spoken);
  segment.language = join_languages(spoken);
  segment.timings = timings_;
  set_confidence(segment);
  add_notes(segment);
  return segment;
}

void SegmentJob::add_notes(Segment& segment) const {
  const auto add = [&](NoteKind kind, std::string message) { segment.notes.push_back({kind, std::move(message)}); };
  std::string problem = first_problem_, remedies = cut_;
  bool is_recovered = true;
  for (const auto& part : parts_) {
    if (part->problem.empty()) continue;
    if (problem.empty()) problem = part->problem;
    is_recovered = is_recovered && part->level != Level::kGivenUp;
    const char* remedy = part->level == Level::kPenalty ? "repetition penalty"
                         : part->level == Level::kWarm  ? "temperature 0.4"
                         : part->level == Level::kHot   ? "temperature 0.8"
                                                        : "";
    if (*remedy != 0) remedies += (remedies.empty() ? "" : ", ") + std::string(remedy);
  }
  if (!problem.empty() && is_recovered) add(NoteKind::kRepetitionRecovered, problem + "; recovered: " + remedies);
  if (!is_recovered) {
    const bool tried = request_->settings().guards.recover;
    add(NoteKind::kRepetition, problem + (tried ? "; no recovery: nothing helped" : "; recovery is switched off") +
                                   ", the text is what came before");
  }
  if (segment.truncated) {
    add(NoteKind::kTruncated, "the answer was ended after " + std::to_string(segment.timings.n_generated_tokens) +
                                  " tokens, not by the model");
  }
  if (segment.text.empty() && !segment.truncated) add(NoteKind::kNoSpeech, "the model heard no speech");
}

}  // namespace qasr
