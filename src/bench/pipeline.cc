#include "bench/pipeline.h"

#include <string>

#include "bench/stopwatch.h"
#include "qasr/audio.h"

namespace qasr::bench {
namespace {

// <|im_start|>system\n<|im_end|>\n<|im_start|>user\n<|audio_start|> and
// <|audio_end|><|im_end|>\n<|im_start|>assistant\n
constexpr int kPromptHead = 9, kPromptTail = 6;

}  // namespace

std::vector<std::int32_t> synthetic_prompt(const ModelConfig& config, int n_audio_tokens) {
  std::vector<std::int32_t> ids;
  const auto append_text = [&](int count) {
    for (int index = 0; index < count; ++index) {
      const auto id = static_cast<std::int32_t>(ids.size() * 7 % static_cast<std::size_t>(config.text.vocab));
      ids.push_back(id == config.audio_token_id ? (id == 0 ? 1 : id - 1) : id);
    }
  };
  append_text(kPromptHead);
  ids.insert(ids.end(), static_cast<std::size_t>(n_audio_tokens), config.audio_token_id);
  append_text(kPromptTail);
  return ids;
}

BareModel::BareModel(const ModelConfig& model_config, const WeightPacker& weights)
    : config(model_config),
      log_mel({.n_mels = config.audio.n_mels}),
      encoder(config.audio, weights),
      decoder(config.text, config.audio_token_id, weights) {}

Pipeline::Pipeline(const BareModel& model, Backend& backend, const Workload& workload)
    : model_(model),
      backend_(backend),
      workload_(workload),
      samples_(synthetic_speech(static_cast<std::size_t>(workload.audio_s * kSampleRate))),
      n_frames_(model.log_mel.n_frames(samples_.size())),
      features_(static_cast<std::size_t>(workload.n_segments)) {
  prompt_ = synthetic_prompt(model.config, model.encoder.n_audio_tokens(n_frames_));
  const int n_positions = n_prompt_tokens() + workload.n_tokens;
  if (n_positions > model.config.text.max_positions) {
    throw Error(ErrorCode::kInput, "bench: prompt and tokens need " + std::to_string(n_positions) +
                                       " positions, the model has " + std::to_string(model.config.text.max_positions));
  }
  const std::int64_t pages = (n_positions + KvPool::kPageTokens - 1) / KvPool::kPageTokens;
  kv_pool_ = std::make_unique<KvPool>(backend, model.config.text, pages * KvPool::kPageTokens * workload.n_segments,
                                      workload.kv_dtype);
}

StageTimes Pipeline::run() {
  StageTimes times;
  const Stopwatch stopwatch;
  for (LogMelSpectrogram& features : features_) model_.log_mel.compute(samples_, features);
  times.mel_ms = stopwatch.ms();
  encode(times);
  generate(times);
  return times;
}

void Pipeline::encode(StageTimes& times) {
  std::vector<const LogMelSpectrogram*> batch;
  for (const LogMelSpectrogram& features : features_) batch.push_back(&features);
  // A group of windows begins where the one before had its output.
  const Stopwatch stopwatch;
  Stopwatch group;
  const auto tap = [&](std::string_view stage, std::int64_t, ConstTensorView) {
    if (stage == "stem") times.stem_ms += group.ms();
    if (stage == "output") group = Stopwatch();
  };
  model_.encoder.forward(batch, ShortClipPadding::kOfficial, encoder_workspace_, audio_, tap);
  times.encoder_ms = stopwatch.ms();
}

void Pipeline::generate(StageTimes& times) {
  const auto n_segments = static_cast<std::size_t>(workload_.n_segments);
  const std::int64_t n_audio_tokens = audio_.view().rows() / workload_.n_segments;
  Stopwatch stopwatch;
  std::vector<KvSequence> sequences;
  sequences.reserve(n_segments);
  std::vector<PrefillInput> inputs;
  std::vector<KvSequence*> running;
  for (std::size_t segment = 0; segment < n_segments; ++segment) {
    sequences.emplace_back(*kv_pool_).reserve(n_prompt_tokens() + workload_.n_tokens);
    running.push_back(&sequences.back());
    inputs.push_back(
        {.sequence = running.back(),
         .ids = prompt_,
         .audio = audio_.view().slice_rows(static_cast<std::int64_t>(segment) * n_audio_tokens, n_audio_tokens)});
  }
  std::vector<std::int32_t> ids(n_segments);
  model_.decoder.prefill(inputs, decoder_workspace_, ids);
  times.prefill_ms = stopwatch.lap_ms();
  // End tokens do not end anything.
  for (int step = 0; step < workload_.n_tokens; ++step) {
    model_.decoder.decode_step(running, ids, decoder_workspace_, ids);
  }
  times.decode_ms = stopwatch.lap_ms();
}

double Pipeline::kv_bytes_per_step() const {
  const double mean_positions = n_prompt_tokens() + (workload_.n_tokens + 1) / 2.0;
  return workload_.n_segments * mean_positions *
         static_cast<double>(KvPool::bytes_per_position(model_.config.text, workload_.kv_dtype));
}

}  // namespace qasr::bench
