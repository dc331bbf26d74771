#include "bench/stage_work.h"

#include <algorithm>

#include "backend/backend.h"
#include "model/audio_encoder.h"

namespace qasr::bench {
namespace {

constexpr double kTaps = 9;  // of a 3x3 convolution

// One chunk of 100 frames through three convolutions and conv_out.
double stem_work_per_chunk(const AudioEncoderConfig& config) {
  const auto positions = [&](int n_convs) {
    return static_cast<double>(conv_out_length(config.n_mels, n_convs) *
                               conv_out_length(config.chunk_frames(), n_convs));
  };
  const double channels = config.conv_channels;
  return kTaps * channels * (positions(1) + channels * (positions(2) + positions(3))) +
         positions(3) * channels * config.d_model;
}

double encoder_work(const AudioEncoderConfig& config, std::int64_t n_frames) {
  const double n_chunks = static_cast<double>((n_frames + config.chunk_frames() - 1) / config.chunk_frames());
  const double n_tokens = AudioEncoder::n_audio_tokens(config, static_cast<int>(n_frames));
  const double window_tokens = std::min<double>(
      n_tokens, AudioEncoder::n_audio_tokens(config, std::max(config.n_window_infer, config.chunk_frames())));
  const double d = config.d_model;
  const double per_layer = 4 * d * d + 2 * d * config.d_ff + 2 * window_tokens * d;
  return n_chunks * stem_work_per_chunk(config) +
         n_tokens * (config.n_layers * per_layer + d * d + d * config.output_dim);
}

// The last layer computes keys and values of all rows, and the rest of one.
double prefill_work(const TextDecoderConfig& config, double n_rows) {
  const double hidden = config.hidden, q_width = config.n_heads * config.head_dim;
  const double keys_and_values = 2.0 * config.n_kv_heads * config.head_dim * hidden;
  const double rest = 2 * q_width * hidden + 3 * hidden * config.d_ff;
  const double attention = n_rows * (n_rows + 1) / 2 * 2 * q_width;
  return config.n_layers * n_rows * keys_and_values + (config.n_layers - 1) * (n_rows * rest + attention) + rest +
         n_rows * 2 * q_width + hidden * config.vocab;
}

}  // namespace

StageWork stage_work(const ModelConfig& config, std::int64_t n_segments, std::int64_t n_frames,
                     std::int64_t n_prompt_tokens) {
  const double n = static_cast<double>(n_segments);
  const double n_chunks =
      static_cast<double>((n_frames + config.audio.chunk_frames() - 1) / config.audio.chunk_frames());
  return {.stem = n * n_chunks * stem_work_per_chunk(config.audio),
          .encoder = n * encoder_work(config.audio, n_frames),
          .prefill = n * prefill_work(config.text, static_cast<double>(n_prompt_tokens))};
}

}  // namespace qasr::bench
