#include "model/forced_aligner.h"

#include <algorithm>

#include "audio/energy_split.h"
#include "base/stopwatch.h"
#include "qasr/audio.h"

namespace qasr {
namespace {

// Takes one row of the head's output in.
void add_row(std::span<const float> logits, std::int32_t best, float best_log_prob, SlotScores& scores) {
  scores.best.push_back(best);
  scores.log_sum.push_back(logits[static_cast<std::size_t>(best)] - best_log_prob);
  scores.logits.insert(scores.logits.end(), logits.begin(), logits.begin() + scores.width);
}

}  // namespace

int ForcedAligner::n_audio_tokens(const AlignPiece& piece) const {
  return model_.encoder().n_audio_tokens(model_.log_mel().n_frames(std::max(piece.samples.size(), kMinPieceSamples)));
}

std::int64_t ForcedAligner::n_positions(const AlignPiece& piece) const {
  std::size_t count = AlignPromptBuilder::n_control_ids(piece.words.size());
  for (const std::vector<std::int32_t>& word : piece.words) count += word.size();
  return n_audio_tokens(piece) + static_cast<std::int64_t>(count);
}

// workspace.audio: the rows of all pieces, one after the other.
void ForcedAligner::encode(std::span<const AlignPiece> pieces, AlignWorkspace& workspace, Timings& timings) const {
  const Stopwatch stopwatch;
  workspace.padded.clear();
  workspace.padded.reserve(pieces.size());  // spans into it stay valid
  std::vector<std::span<const float>> recordings;
  for (const AlignPiece& piece : pieces) {
    recordings.push_back(piece.samples);
    if (piece.samples.size() >= kMinPieceSamples) continue;
    std::vector<float>& padded = workspace.padded.emplace_back(piece.samples.begin(), piece.samples.end());
    padded.resize(kMinPieceSamples, 0.0F);
    recordings.back() = padded;
  }
  const std::span<const AudioFeatures> features = model_.front_end().compute(recordings, workspace.front_end);
  timings.preprocessing_ms += stopwatch.ms();
  const Stopwatch encoder_stopwatch;
  model_.encoder().forward(features, ShortClipPadding::kOfficial, workspace.encoder, workspace.audio);
  timings.audio_encoding_ms += encoder_stopwatch.ms();
}

void ForcedAligner::make_pool(std::int64_t n_positions, AlignWorkspace& workspace) const {
  if (workspace.pool != nullptr && workspace.pool->n_positions() >= n_positions) return;
  workspace.pool.reset();  // first, so that old and new memory never exist side by side
  workspace.pool = std::make_unique<KvPool>(backend_, model_.config().text, n_positions, kv_dtype_);
}

SlotScores ForcedAligner::empty_scores(const AlignPiece& piece) const {
  const std::int64_t n_classes = model_.config().n_classes;
  SlotScores scores{.class_ms = model_.config().class_ms};
  const std::int64_t class_samples = std::int64_t{scores.class_ms} * kSampleRate / 1000;
  const auto last = (static_cast<std::int64_t>(piece.samples.size()) + class_samples - 1) / class_samples;
  scores.n_audio_classes = static_cast<int>(std::min(n_classes, last + 1));
  scores.width = static_cast<int>(std::min(n_classes, last + 2));  // one more for the neighbour's probability
  return scores;
}

std::vector<SlotScores> ForcedAligner::classify(std::span<const AlignPiece> pieces, AlignWorkspace& workspace,
                                                Timings& timings) const {
  if (pieces.empty()) return {};
  encode(pieces, workspace, timings);
  const Stopwatch stopwatch;
  std::vector<AlignPrompt> prompts;
  std::vector<SlotScores> scores;
  std::int64_t n_pool_positions = 0;
  for (const AlignPiece& piece : pieces) {
    prompts.push_back(model_.align_prompt().build(n_audio_tokens(piece), piece.words));
    scores.push_back(empty_scores(piece));
    const auto n_ids = static_cast<std::int64_t>(prompts.back().ids.size());
    n_pool_positions += std::int64_t{KvPool::pages_for(n_ids)} * KvPool::kPageTokens;
  }
  make_pool(n_pool_positions, workspace);

  std::vector<KvSequence> sequences;
  sequences.reserve(pieces.size());
  std::vector<PrefillInput> inputs;
  std::vector<std::span<const std::int32_t>> wanted;
  std::int64_t first_row = 0;
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    sequences.emplace_back(*workspace.pool);
    const std::int64_t n_rows = n_audio_tokens(pieces[index]);
    inputs.push_back({.sequence = &sequences.back(),
                      .ids = prompts[index].ids,
                      .audio = workspace.audio.view().slice_rows(first_row, n_rows)});
    wanted.push_back(prompts[index].slots);
    first_row += n_rows;
  }
  std::size_t piece = 0;
  const auto n_logits = static_cast<std::size_t>(model_.decoder().n_logits());
  model_.decoder().classify(
      inputs, wanted, workspace.decoder,
      [&](std::span<const std::int32_t> best, std::span<const float> log_probs, std::span<const float> logits) {
        for (std::size_t row = 0; row < best.size(); ++row) {
          while (scores[piece].n_slots() == wanted[piece].size()) ++piece;
          add_row(logits.subspan(row * n_logits, n_logits), best[row], log_probs[row], scores[piece]);
        }
      });
  const double ms = stopwatch.ms();
  timings.text_generation_ms += ms;
  timings.prefill_ms += ms;
  return scores;
}

}  // namespace qasr
