// The stages of one recording, or of a batch of equal ones, each under a stopwatch: what the engine does,
// without scheduler, tokenizer and log-probabilities and with a fixed number of tokens, so that every engine and every
// run does the same work.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "audio/log_mel.h"
#include "bench/synthetic_speech.h"
#include "model/audio_encoder.h"
#include "model/kv_cache.h"
#include "model/text_decoder.h"
#include "weights/model_config.h"
#include "weights/weight_store.h"

namespace qasr::bench {

/// The parts of a checkpoint that compute.
struct BareModel {
  BareModel(const ModelConfig& model_config, const WeightPacker& weights);
  ModelConfig config;
  LogMel log_mel;
  AudioEncoder encoder;
  TextDecoder decoder;
};

struct Workload {
  double audio_s = 0;
  int n_segments = 1;  ///< equally long recordings that share every call
  int n_tokens = 0;    ///< decode steps; every step gives each sequence one token
  DType kv_dtype = DType::kF32;
};

struct StageTimes {
  double mel_ms = 0;
  double stem_ms = 0;     ///< convolutions, conv_out, positions
  double encoder_ms = 0;  ///< stem included
  double prefill_ms = 0;
  double decode_ms = 0;  ///< all steps
  double total_ms() const { return mel_ms + encoder_ms + prefill_ms + decode_ms; }
};

class Pipeline {
 public:
  /// Borrows the model and the backend.
  /// @throws Error kInput  the workload has more positions than the model
  Pipeline(const BareModel& model, Backend& backend, const Workload& workload);

  /// Everything from samples to the last token. Memory is reused from run to run, as a session does.
  StageTimes run();

  int n_frames() const { return n_frames_; }
  int n_prompt_tokens() const { return static_cast<int>(prompt_.size()); }
  /// Keys and values that a decode step reads on average.
  double kv_bytes_per_step() const;

 private:
  void encode(StageTimes& times);
  void generate(StageTimes& times);

  const BareModel& model_;
  Backend& backend_;
  Workload workload_;
  std::vector<float> samples_;
  std::vector<std::int32_t> prompt_;
  int n_frames_ = 0;
  std::vector<LogMelSpectrogram> features_;  // one per segment
  EncoderWorkspace encoder_workspace_;
  DeviceTensor audio_;  // [n_segments * n_audio_tokens, hidden]
  DecoderWorkspace decoder_workspace_;
  std::unique_ptr<KvPool> kv_pool_;
};

/// As long as the engine's prompt without context: 9 ids, one placeholder per audio token, 6 ids.
std::vector<std::int32_t> synthetic_prompt(const ModelConfig& config, int n_audio_tokens);

}  // namespace qasr::bench
