// A model of the true size with synthetic weights on one backend, and the stages of transcribing a batch of clips with
// forced numbers of tokens: 3.5 per second of audio, end tokens ignored.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "audio/log_mel.h"
#include "backend/backend.h"
#include "model/audio_encoder.h"
#include "model/front_end.h"
#include "model/kv_cache.h"
#include "model/text_decoder.h"
#include "weights/checkpoint_files.h"
#include "weights/weight_store.h"

namespace qasr::bench {

constexpr double kTokensPerSecond = 3.5;
constexpr int kPromptTokens = 15;  // around the audio, as the official template without context

inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of each stage of one batch.
struct StageTimes {
  double encoder = 0, prefill = 0, decode = 0;  // encoder: with log-mel
  double total() const { return encoder + prefill + decode; }
};

/// How the model is held.
struct Formats {
  WeightFormat weights = WeightFormat::kAuto;
  DType kv_cache = DType::kBf16;
};

/// One product of the encoder: y [rows, out] = x [rows, in] w^T, so many times.
struct ProductShape {
  std::int64_t rows, out, in, n_times;
};

class Workload {
 public:
  /// @param model  a name of synthetic_model_names()
  Workload(Backend& backend, const std::string& model, const Formats& formats = {});

  /// Transcribes `n_clips` clips of `clip_s` seconds as one batch; samples are in host memory, ids end there. Log-mel
  /// and encoder take groups of clips in turn, so that copies of one group run while another is encoded.
  ///   n_tokens  per clip; 0: 3.5 per second
  StageTimes run(int n_clips, double clip_s, int n_tokens = 0);
  /// From samples in host memory to the first id.
  double first_token_s(double clip_s);
  /// Seconds of one decode step of `n_sequences` sequences of about `n_positions` positions.
  ///   sampling  how all of them choose
  double decode_step_s(int n_sequences, int n_positions, int n_steps, const SamplingOptions& sampling = {});
  /// The same with logits that go to the host, which chooses.
  double host_choice_step_s(int n_sequences, int n_positions, int n_steps, const SamplingOptions& sampling);
  /// Seconds of log-mel of `n_clips` clips whose samples are in host memory.
  double log_mel_s(int n_clips, double clip_s);
  /// The same of samples that are on the GPU already.
  double log_mel_kernels_s(int n_clips, double clip_s);
  /// Seconds of the encoder over `n_clips` clips.
  double encoder_s(int n_clips, double clip_s);
  /// The median of 41 times, with recorded layers or without.
  double encoder_s(int n_clips, double clip_s, bool recorded);

  /// Bytes a decode step reads of weights.
  double decode_weight_bytes() const;
  double kv_bytes_per_position() const;
  /// Multiply-adds of the encoder's products and convolutions per second of audio.
  double encoder_macs_per_second() const;
  /// The products over `n_clips` clips, in passes as large as the backend prefers.
  std::vector<ProductShape> encoder_products(int n_clips, double clip_s) const;
  const ModelConfig& config() const { return config_; }

 private:
  std::vector<std::span<const float>> clips(int n_clips, double clip_s) const;
  void compute_log_mels(std::span<const std::span<const float>> clips);
  void encode(std::size_t group);
  void encode_clips(int n_clips, double clip_s);
  void prefill(int n_clips, int n_new_tokens);
  std::vector<std::int32_t> prompt(int n_audio_tokens) const;
  void make_pool(std::int64_t n_positions);
  std::vector<KvSequence*> make_sequences(int n_sequences, int n_past, int n_steps);
  void wait(ConstTensorView view);

  Backend& backend_;
  Formats formats_;
  CheckpointFiles files_;
  ModelConfig config_;
  LogMel log_mel_;
  FrontEnd front_end_;
  std::unique_ptr<AudioEncoder> encoder_;
  std::unique_ptr<TextDecoder> decoder_;
  std::vector<float> noise_;

  FrontEndWorkspace front_end_workspace_;
  std::span<const AudioFeatures> features_;  // of the group computed last
  EncoderWorkspace encoder_workspace_;
  std::vector<DeviceTensor> embeddings_;  // of each group
  std::size_t group_clips_ = 1;           // of every group but the last
  DecoderWorkspace decoder_workspace_;
  std::unique_ptr<KvPool> pool_;
  std::vector<KvSequence> sequences_;
  std::vector<std::int32_t> first_ids_;
};

}  // namespace qasr::bench
