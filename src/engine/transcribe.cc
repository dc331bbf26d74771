#include "engine/transcribe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "engine/text_stream.h"
#include "model/search.h"
#include "qasr/audio.h"
#include "text/asr_output.h"

namespace qasr {
namespace {

constexpr std::size_t kMinSamples = 8000;  // 0.5 s
constexpr int kMinBudget = 256, kBudgetPerSecond = 16;

double elapsed_ms(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

// Positions the answer may take; fails if the prompt leaves no room for a useful one.
int answer_budget(const TextDecoderConfig& config, std::size_t n_prompt_tokens, double duration_s, int max_tokens) {
  const int budget = max_tokens > 0 ? max_tokens : token_budget(duration_s);
  const int room = config.max_positions - static_cast<int>(n_prompt_tokens);
  // Without an explicit limit an answer may be shorter than its budget, but not cut below what speech needs.
  const int needed = max_tokens > 0 ? budget : budget / 2;
  if (room < needed) {
    throw Error(ErrorCode::kInput, "audio too long: a segment of " + std::to_string(std::lround(duration_s)) +
                                       " s needs " + std::to_string(n_prompt_tokens) +
                                       " positions for the prompt and " + std::to_string(needed) +
                                       " for the answer, the model has " + std::to_string(config.max_positions) +
                                       "; set a smaller max_segment_s so that it is cut at a pause");
  }
  return std::min(budget, room);
}

void make_room(const Engine::Impl& engine, std::int64_t n_positions, SegmentWorkspace& workspace) {
  if (workspace.kv_pool != nullptr && workspace.kv_pool->n_positions() >= n_positions) return;
  workspace.kv_pool.reset();  // first, so that old and new pool never exist side by side
  workspace.kv_pool = std::make_unique<KvPool>(*engine.backend, engine.model->config().text, n_positions,
                                               kv_cache_dtype(engine.options.kv_cache, engine.options.weights));
}

}  // namespace

int token_budget(double duration_s) {
  return std::max(kMinBudget, static_cast<int>(std::ceil(duration_s * kBudgetPerSecond)));
}

Segment transcribe_segment(const Engine::Impl& engine, std::span<const float> samples, const SegmentOptions& options,
                           SegmentWorkspace& workspace, Timings& timings) {
  const Model& model = *engine.model;
  const double duration_s = static_cast<double>(samples.size()) / kSampleRate;
  if (options.pad_short_clips && samples.size() < kMinSamples) {
    workspace.padded_samples.assign(samples.begin(), samples.end());
    workspace.padded_samples.resize(kMinSamples);
    samples = workspace.padded_samples;
  }

  auto start = std::chrono::steady_clock::now();
  const std::span<const AudioFeatures> features = model.front_end().compute({&samples, 1}, workspace.front_end);
  const int n_frames = features[0].n_frames;
  timings.preprocessing_ms += elapsed_ms(start);
  timings.n_frames += n_frames;
  if (n_frames == 0) return {};

  // Checked before the encoder runs: a prompt that cannot fit should not cost minutes first.
  const int n_audio_tokens = model.encoder().n_audio_tokens(n_frames);
  const std::vector<std::int32_t> prompt =
      model.prompt().build(options.context, options.forced_language, n_audio_tokens);
  const int budget = answer_budget(model.config().text, prompt.size(), duration_s, options.max_tokens);
  make_room(engine, static_cast<std::int64_t>(prompt.size()) + budget, workspace);

  start = std::chrono::steady_clock::now();
  model.encoder().forward(features, options.short_clip_padding, workspace.encoder, workspace.audio_embeddings);
  timings.audio_encoding_ms += elapsed_ms(start);
  timings.n_audio_tokens += n_audio_tokens;

  start = std::chrono::steady_clock::now();
  KvSequence sequence(*workspace.kv_pool);
  sequence.reserve(static_cast<int>(prompt.size()) + budget);
  const PrefillInput prefill[] = {{&sequence, prompt, workspace.audio_embeddings.view()}};
  std::int32_t first_id = 0;
  model.decoder().prefill(prefill, workspace.decoder, std::span(&first_id, 1));
  timings.prefill_ms += elapsed_ms(start);
  timings.n_prompt_tokens += static_cast<int>(prompt.size());

  TranscriptStream stream(!options.forced_language.empty());
  const auto show = [&](std::size_t, std::int32_t id) {
    const std::string text = stream.feed(model.tokenizer().token_bytes(id));
    if (!text.empty()) options.on_text(text);
  };
  const SearchInput search[] = {{&sequence, first_id, budget}};
  const SearchResult answer = greedy_search(model.decoder(), search, model.config().eos_token_ids, workspace.decoder,
                                            options.on_text ? TokenCallback(show) : TokenCallback())[0];
  timings.text_generation_ms += elapsed_ms(start);
  timings.n_generated_tokens += static_cast<int>(answer.ids.size());

  Segment segment;
  segment.raw_text = model.tokenizer().decode(answer.ids);
  segment.truncated = answer.truncated;
  AsrOutput output = parse_asr_output(segment.raw_text, options.forced_language);
  segment.text = std::move(output.text);
  segment.language = std::move(output.language);
  if (options.on_text) {
    const std::string rest = stream.finish(segment.text);
    if (!rest.empty()) options.on_text(rest);
  }
  return segment;
}

}  // namespace qasr
