// Aligner: texts become words, recordings become tasks; pieces of several tasks share a pass of the model.
#include "qasr/align.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "backend/registry.h"
#include "engine/align_task.h"
#include "engine/aligner_impl.h"
#include "engine/request_settings.h"
#include "qasr/audio.h"
#include "qasr/error.h"
#include "qasr/languages.h"
#include "text/language_name.h"
#include "weights/describe.h"

namespace qasr {
namespace {

constexpr double kDefaultPieceS = 60, kLeastPieceS = 1;
constexpr std::size_t kMaxWordIds = 256;  // a longer "word" is a text without spaces; its beginning says enough
constexpr std::int64_t kCpuPositions = 2048, kGpuPositions = 65536;  // of a pass

std::int64_t positions_of_a_pass(const Backend& backend, const TextDecoderConfig& config, DType kv_dtype) {
  if (backend.run_ahead_steps() == 0) return kCpuPositions;
  const std::uint64_t each = KvPool::bytes_per_position(config, kv_dtype);
  return std::clamp(static_cast<std::int64_t>(backend.available_bytes() / 4 / each), kCpuPositions, kGpuPositions);
}

// A recording, its task and the token ids of its words.
struct Job {
  AlignTask task;
  std::span<const float> samples;
  std::vector<std::vector<std::int32_t>> ids;  // [words]
  std::string language;
  std::vector<std::string> warnings;
  Timings timings;

  AlignPiece piece() const {
    const AlignTask::Piece& piece = task.piece();
    return {.samples = samples.subspan(piece.first_sample, piece.n_samples),
            .words = std::span(ids).subspan(piece.first_word, piece.n_words)};
  }
};

AlignLimits limits_of(const AlignOptions& options, const ModelConfig& config) {
  const double requested_s = options.max_piece_s;
  if (std::isnan(requested_s) || requested_s < 0 || (requested_s > 0 && requested_s < kLeastPieceS)) {
    throw Error(ErrorCode::kInvalidArgument,
                "max_piece_s is " + std::to_string(requested_s) + ", expected 0 or at least 1");
  }
  double piece_s = requested_s > 0 ? requested_s : config.recommended_max_segment_s;
  if (piece_s <= 0) piece_s = kDefaultPieceS;
  const double reach_s = std::max((config.n_classes - 1) * config.class_ms / 1000.0, kLeastPieceS);
  constexpr int kFrames = 1000, kSeconds = 10;
  return {.max_piece_samples = static_cast<std::size_t>(std::min(piece_s, reach_s) * kSampleRate),
          .max_positions = config.text.max_positions,
          .audio_positions_per_s = static_cast<double>(AudioEncoder::n_audio_tokens(config.audio, kFrames)) / kSeconds};
}

// Of an item: one that is not known is nobody's mistake, models answer with names of their own.
std::string item_language(const AlignItem& item, const std::string& fallback) {
  if (item.language.empty()) return fallback;
  const std::optional<Language> known = find_language(item.language);
  return known ? std::string(known->name) : "";
}

Job make_job(const AlignItem& item, const AlignOptions& options, const std::string& language, const Model& model) {
  check_samples(item.samples);
  const std::string spoken = item_language(item, language);
  std::vector<TextWord> words = split_words(item.text, {.language = spoken, .marks = options.marks});
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<int> n_ids;
  for (const TextWord& word : words) {
    ids.push_back(model.align_prompt().encode_word(word.text));
    if (ids.back().size() > kMaxWordIds) ids.back().resize(kMaxWordIds);
    n_ids.push_back(static_cast<int>(ids.back().size()));
  }
  Job job{
      .task = AlignTask(item, std::move(words), std::move(n_ids), options.times, limits_of(options, model.config())),
      .samples = item.samples,
      .ids = std::move(ids),
      .language = spoken};
  if (!spoken.empty() && !is_aligner_language(spoken)) {
    job.warnings.push_back(spoken +
                           " is not a language of the official aligner: words are divided by the general rule, "
                           "and times may be less exact");
  }
  return job;
}

Alignment take(Job& job) {
  Alignment alignment = job.task.take();
  alignment.language = job.language;
  alignment.warnings.insert(alignment.warnings.begin(), job.warnings.begin(), job.warnings.end());
  alignment.timings = job.timings;
  return alignment;
}

// Scores the next pieces of these jobs in one pass and lets the jobs go on. The time counts for each by its positions.
void run_pass(std::span<Job* const> jobs, AlignLane& lane) {
  std::vector<AlignPiece> pieces;
  std::int64_t n_all = 0;
  for (const Job* job : jobs) {
    pieces.push_back(job->piece());
    n_all += lane.n_positions(pieces.back());
  }
  Timings pass;
  const std::vector<SlotScores> scores = lane.classify(pieces, pass);
  for (std::size_t index = 0; index < jobs.size(); ++index) {
    Timings& timings = jobs[index]->timings;
    const std::int64_t n_positions = lane.n_positions(pieces[index]);
    const double share = static_cast<double>(n_positions) / static_cast<double>(n_all);
    timings.preprocessing_ms += pass.preprocessing_ms * share;
    timings.audio_encoding_ms += pass.audio_encoding_ms * share;
    timings.text_generation_ms += pass.text_generation_ms * share;
    timings.prefill_ms += pass.prefill_ms * share;
    timings.n_frames += static_cast<int>(pieces[index].samples.size()) * 100 / kSampleRate;
    timings.n_audio_tokens += static_cast<int>(lane.n_audio_tokens(pieces[index]));
    timings.n_prompt_tokens += static_cast<int>(n_positions);
    timings.n_generated_tokens += static_cast<int>(scores[index].n_slots());
    jobs[index]->task.accept(scores[index]);
  }
}

}  // namespace

AlignLane::AlignLane(PlacedModel placed, DType kv_dtype)
    : placed_(std::move(placed)),
      aligner_(*placed_.backend, *placed_.model, kv_dtype),
      pass_positions_(positions_of_a_pass(*placed_.backend, placed_.model->config().text, kv_dtype)) {}

std::vector<SlotScores> AlignLane::classify(std::span<const AlignPiece> pieces, Timings& timings) {
  const MutexLock lock(mutex_);
  return aligner_.classify(pieces, workspace_, timings);
}

std::shared_ptr<const Aligner> Aligner::Impl::open(const CheckpointFiles& files, const EngineOptions& options,
                                                   std::vector<std::unique_ptr<Backend>> backends) {
  const ModelConfig config = parse_model_config(files);
  if (!config.is_forced_aligner) {
    throw Error(ErrorCode::kModel, files.where() +
                                       " is a speech recognition model (it writes text), expected a forced aligner "
                                       "such as Qwen3-ForcedAligner-0.6B");
  }
  const WeightStore weights(files, config);
  auto impl = std::make_unique<Impl>();
  impl->info = describe_checkpoint(files, config, weights);
  const DType kv_dtype = kv_cache_dtype(options.kv_cache, options.weights);
  for (PlacedModel& placed : place_models(files, config, weights, options, std::move(backends))) {
    impl->lanes.push_back(std::make_unique<AlignLane>(std::move(placed), kv_dtype));
  }
  return std::shared_ptr<const Aligner>(new Aligner(std::move(impl)));
}

Aligner::Aligner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Aligner::~Aligner() = default;

std::shared_ptr<const Aligner> Aligner::open(const std::filesystem::path& model_dir, const EngineOptions& options) {
  return Impl::open(CheckpointFiles::open(model_dir), options, make_backends(options));
}

std::shared_ptr<const Aligner> Aligner::open(std::span<const ModelFile> files, const std::string& name,
                                             const EngineOptions& options) {
  return Impl::open(files_in_memory(files, name), options, make_backends(options));
}

const ModelInfo& Aligner::info() const noexcept { return impl_->info; }

std::string Aligner::backend_description() const {
  std::string all;
  for (const auto& lane : impl_->lanes) all += (all.empty() ? "" : ", ") + lane->backend().description();
  return all;
}

Alignment Aligner::align(std::span<const float> samples, std::string_view text, const AlignOptions& options) const {
  const AlignItem item{.samples = samples, .text = text};
  return std::move(align(std::span(&item, 1), options).front());
}

std::vector<Alignment> Aligner::align(std::span<const AlignItem> items, const AlignOptions& options) const {
  const std::string language = resolve_language(options.language);
  std::vector<Job> jobs;
  for (const AlignItem& item : items) jobs.push_back(make_job(item, options, language, impl_->model()));

  std::vector<Job*> waiting;
  for (Job& job : jobs) {
    if (!job.task.is_done()) waiting.push_back(&job);
  }
  while (!waiting.empty()) {
    AlignLane& lane = impl_->next_lane();
    std::int64_t n_positions = 0;
    std::size_t count = 0;
    for (; count < waiting.size(); ++count) {
      n_positions += lane.n_positions(waiting[count]->piece());
      if (count > 0 && n_positions > lane.pass_positions()) break;
    }
    run_pass(std::span(waiting).first(count), lane);
    // Those that go on wait behind the others.
    std::rotate(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count), waiting.end());
    std::erase_if(waiting, [](const Job* job) { return job->task.is_done(); });
  }
  std::vector<Alignment> results;
  for (Job& job : jobs) results.push_back(take(job));
  return results;
}

}  // namespace qasr
