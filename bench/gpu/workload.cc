#include "workload.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "model/search.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::bench {
namespace {

constexpr int kSampleRate = 16000;
constexpr double kNoise_s = 150;
constexpr double kGroup_s = 600;  // of audio that go through log-mel and encoder together

std::size_t group_clips(double clip_s) { return static_cast<std::size_t>(std::max(1.0, kGroup_s / clip_s)); }

std::vector<float> make_noise() {
  std::vector<float> samples(static_cast<std::size_t>(kNoise_s * kSampleRate));
  std::uint32_t state = 1;
  for (float& sample : samples) {
    state = state * 1664525u + 1013904223u;
    sample = static_cast<float>(static_cast<std::int32_t>(state)) * 4e-11f;
  }
  return samples;
}

int new_tokens(double clip_s) { return static_cast<int>(clip_s * kTokensPerSecond); }

}  // namespace

Workload::Workload(Backend& backend, const std::string& model, const Formats& formats)
    : backend_(backend),
      formats_(formats),
      files_(synthetic_checkpoint(synthetic_model(model))),
      config_(parse_model_config(files_)),
      log_mel_({.n_mels = config_.audio.n_mels}),
      front_end_(log_mel_, backend),
      noise_(make_noise()) {
  const WeightStore weights(files_, config_);
  const bool by_default = formats.weights == WeightFormat::kAuto;
  const WeightPacker packer(weights, backend, by_default ? backend.default_weights() : formats.weights);
  encoder_ = std::make_unique<AudioEncoder>(config_.audio, packer);
  decoder_ = std::make_unique<TextDecoder>(config_.text, config_.audio_token_id, packer);
}

// Clips start at different places of the noise.
std::vector<std::span<const float>> Workload::clips(int n_clips, double clip_s) const {
  const auto n = static_cast<std::size_t>(clip_s * kSampleRate);
  QASR_CHECK(n <= noise_.size());
  std::vector<std::span<const float>> list;
  for (int clip = 0; clip < n_clips; ++clip) {
    list.push_back(std::span(noise_).subspan(static_cast<std::size_t>(clip) * 997 % (noise_.size() - n + 1), n));
  }
  return list;
}

void Workload::compute_log_mels(std::span<const std::span<const float>> clips) {
  features_ = front_end_.compute(clips, front_end_workspace_);
}

void Workload::encode(std::size_t group) {
  if (embeddings_.size() <= group) embeddings_.resize(group + 1);
  encoder_->forward(features_, ShortClipPadding::kOfficial, encoder_workspace_, embeddings_[group]);
}

void Workload::encode_clips(int n_clips, double clip_s) {
  const auto all = clips(n_clips, clip_s);
  group_clips_ = group_clips(clip_s);
  for (std::size_t begin = 0; begin < all.size(); begin += group_clips_) {
    compute_log_mels(std::span(all).subspan(begin, std::min(group_clips_, all.size() - begin)));
    encode(begin / group_clips_);
  }
}

std::vector<std::int32_t> Workload::prompt(int n_audio_tokens) const {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(kPromptTokens + n_audio_tokens), config_.audio_token_id);
  for (int i = 0; i < kPromptTokens; ++i) ids[static_cast<std::size_t>(i < 9 ? i : i + n_audio_tokens)] = 100 + i;
  return ids;
}

void Workload::make_pool(std::int64_t n_positions) {
  sequences_.clear();
  if (pool_ != nullptr && pool_->n_positions() >= n_positions) return;
  pool_.reset();
  pool_ = std::make_unique<KvPool>(backend_, config_.text, n_positions, formats_.kv_cache);
}

void Workload::prefill(int n_clips, int n_new_tokens) {
  const int n_audio = encoder_->n_audio_tokens(features_[0].n_frames);
  const std::vector<std::int32_t> ids = prompt(n_audio);
  const int n_positions = static_cast<int>(ids.size()) + n_new_tokens;
  make_pool(std::int64_t{n_clips} * (n_positions / KvPool::kPageTokens + 1) * KvPool::kPageTokens);
  sequences_.reserve(static_cast<std::size_t>(n_clips));
  std::vector<PrefillInput> inputs;
  for (int clip = 0; clip < n_clips; ++clip) {
    sequences_.emplace_back(*pool_).reserve(n_positions);
    const auto index = static_cast<std::size_t>(clip);
    const ConstTensorView audio = embeddings_[index / group_clips_].view();
    const std::int64_t first_row = static_cast<std::int64_t>(index % group_clips_) * n_audio;
    inputs.push_back({&sequences_.back(), ids, audio.slice_rows(first_row, n_audio)});
  }
  first_ids_.resize(inputs.size());
  decoder_->prefill(inputs, decoder_workspace_, first_ids_);
}

// Until everything called so far is done.
void Workload::wait(ConstTensorView view) {
  float value = 0;
  backend_.download({view.data, DType::kF32, {1}}, &value);
}

StageTimes Workload::run(int n_clips, double clip_s, int n_tokens) {
  if (n_tokens == 0) n_tokens = new_tokens(clip_s);
  StageTimes times;
  double start = now_s();
  const auto lap = [&start](double& stage) {
    const double now = now_s();
    stage = now - start;
    start = now;
  };
  encode_clips(n_clips, clip_s);
  wait(embeddings_[0].view());
  lap(times.encoder);
  prefill(n_clips, n_tokens);
  lap(times.prefill);
  std::vector<SearchInput> inputs;
  for (std::size_t clip = 0; clip < sequences_.size(); ++clip) {
    inputs.push_back({&sequences_[clip], first_ids_[clip], n_tokens});
  }
  const std::vector<SearchResult> results = greedy_search(*decoder_, inputs, {}, decoder_workspace_);
  QASR_CHECK(results.back().ids.size() == static_cast<std::size_t>(n_tokens));
  lap(times.decode);
  return times;
}

double Workload::first_token_s(double clip_s) {
  const double start = now_s();
  encode_clips(1, clip_s);
  prefill(1, 64);
  return now_s() - start;
}

double Workload::log_mel_s(int n_clips, double clip_s) {
  const auto all = clips(n_clips, clip_s);
  double seconds = 0;
  for (int round = 0; round < 2; ++round) {  // the second counts
    const double start = now_s();
    compute_log_mels(all);
    wait(front_end_workspace_.values.view());
    seconds = now_s() - start;
  }
  return seconds;
}

double Workload::log_mel_kernels_s(int n_clips, double clip_s) {
  const LogMelConfig& config = log_mel_.config();
  const auto filter =
      backend_.make_log_mel(log_mel_.window(), log_mel_.filterbank(), config.n_mels, config.hop_samples);
  const auto group = clips(static_cast<int>(group_clips(clip_s)), clip_s);
  compute_log_mels(group);
  const int n_groups = std::max(1, n_clips / static_cast<int>(group.size()));
  double seconds = 0;
  for (int round = 0; round < 2; ++round) {  // the second counts
    wait(front_end_workspace_.values.view());
    const double start = now_s();
    for (int i = 0; i < n_groups; ++i) {
      backend_.log_mel(front_end_workspace_.samples.view(), front_end_workspace_.sample_begin, *filter,
                       front_end_workspace_.values.view());
    }
    wait(front_end_workspace_.values.view());
    seconds = now_s() - start;
  }
  return seconds;
}

double Workload::encoder_s(int n_clips, double clip_s) {
  compute_log_mels(clips(n_clips, clip_s));
  double seconds = 0;
  for (int round = 0; round < 3; ++round) {  // the last counts
    const double start = now_s();
    encode(0);
    wait(embeddings_[0].view());
    seconds = now_s() - start;
  }
  return seconds;
}

double Workload::encoder_s(int n_clips, double clip_s, bool recorded) {
  compute_log_mels(clips(n_clips, clip_s));
  encoder_workspace_.most_recorded_rows = recorded ? std::numeric_limits<std::int64_t>::max() : 0;
  std::vector<double> times;
  for (int round = 0; round < 44; ++round) {  // the first ones make memory, plans and graphs
    const double start = now_s();
    encode(0);
    wait(embeddings_[0].view());
    if (round >= 3) times.push_back(now_s() - start);
  }
  encoder_workspace_.most_recorded_rows = EncoderWorkspace().most_recorded_rows;
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Sequences with positions of earlier runs: their contents do not matter here.
std::vector<KvSequence*> Workload::make_sequences(int n_sequences, int n_past, int n_steps) {
  make_pool(std::int64_t{n_sequences} * ((n_past + 2 * n_steps) / KvPool::kPageTokens + 2) * KvPool::kPageTokens);
  std::vector<KvSequence*> sequences;
  sequences_.reserve(static_cast<std::size_t>(n_sequences));
  for (int s = 0; s < n_sequences; ++s) {
    sequences.push_back(&sequences_.emplace_back(*pool_));
    sequences.back()->reserve(n_past + 2 * n_steps);
    sequences.back()->advance(n_past);
  }
  return sequences;
}

double Workload::decode_step_s(int n_sequences, int n_positions, int n_steps, const SamplingOptions& sampling) {
  const int n_past = n_positions - n_steps / 2;
  const std::vector<KvSequence*> sequences = make_sequences(n_sequences, n_past, n_steps);
  std::vector<std::int32_t> ids(sequences.size(), 100);
  const std::vector<std::int32_t> history(100, 100);
  std::vector<RowChoice> choices;
  if (!takes_most_likely(sampling)) choices.assign(ids.size(), {.options = sampling, .history = history});
  const int ahead = decoder_->run_ahead_steps();
  double seconds = 0;
  for (int round = 0; round < 2; ++round) {  // the second counts
    for (KvSequence* sequence : sequences) sequence->truncate(n_past);
    const double start = now_s();
    decoder_->start_steps(ids, decoder_workspace_, choices, n_steps);
    for (int step = 0; step < n_steps + ahead; ++step) {
      if (step < n_steps) decoder_->enqueue_step(sequences, decoder_workspace_);
      if (step >= ahead) decoder_->read_step(decoder_workspace_, ids);
    }
    seconds = now_s() - start;
  }
  return seconds / n_steps;
}

double Workload::host_choice_step_s(int n_sequences, int n_positions, int n_steps, const SamplingOptions& sampling) {
  const std::vector<KvSequence*> sequences = make_sequences(n_sequences, n_positions - n_steps / 2, n_steps);
  std::vector<std::int32_t> ids(sequences.size(), 100);
  const std::vector<std::int32_t> history(100, 100);
  RowChoice choice{.options = sampling, .history = history};
  std::vector<float> logits(static_cast<std::size_t>(config_.text.vocab));
  const double start = now_s();
  for (int step = 0; step < n_steps; ++step) {
    decoder_->decode_step(sequences, ids, decoder_workspace_, ids);
    for (std::size_t row = 0; row < ids.size(); ++row) {
      const auto index = static_cast<std::int64_t>(row);
      backend_.download(decoder_workspace_.logits.view().slice_rows(index, 1), logits.data());
      ids[row] = choose_token(choice, logits);
    }
  }
  return (now_s() - start) / n_steps;
}

double Workload::decode_weight_bytes() const { return static_cast<double>(decoder_->step_weight_bytes()); }

double Workload::kv_bytes_per_position() const {
  return static_cast<double>(KvPool::bytes_per_position(config_.text, formats_.kv_cache));
}

double Workload::encoder_macs_per_second() const {
  const AudioEncoderConfig& c = config_.audio;
  const double d = c.d_model, channels = c.conv_channels, mels = c.n_mels;
  const double convs = mels / 2 * 50 * 9 * channels + (mels / 4 * 25 + mels / 8 * 13) * 9 * channels * channels;
  const double layer = 4 * d * d + 2 * d * c.d_ff;
  return convs + 13 * (channels * mels / 8 * d + layer * c.n_layers + d * d + d * c.output_dim);
}

std::vector<ProductShape> Workload::encoder_products(int n_clips, double clip_s) const {
  const AudioEncoderConfig& c = config_.audio;
  const std::int64_t d = c.d_model, channels = c.conv_channels, n_layers = c.n_layers;
  const auto n_chunks = static_cast<std::int64_t>(n_clips * clip_s), n_rows = n_chunks * 13;
  const std::int64_t passes = std::max<std::int64_t>(1, n_rows / backend_.preferred_rows()), rows = n_rows / passes;
  const std::int64_t second = c.n_mels / 4 * 25, third = c.n_mels / 8 * 13;  // positions of a chunk after a convolution
  constexpr std::int64_t kPassChunks = 30;                                   // of the convolutions
  const std::int64_t conv_passes = std::max<std::int64_t>(1, n_chunks / kPassChunks);
  const std::int64_t conv_chunks = n_chunks / conv_passes;
  return {{conv_chunks * second, channels, 9 * channels, conv_passes},
          {conv_chunks * third, channels, 9 * channels, conv_passes},
          {rows, d, channels * c.n_mels / 8, passes},
          {rows, 3 * d, d, passes * n_layers},
          {rows, d, d, passes * (n_layers + 1)},
          {rows, c.d_ff, d, passes * n_layers},
          {rows, d, c.d_ff, passes * n_layers},
          {rows, c.output_dim, d, passes}};
}

}  // namespace qasr::bench
