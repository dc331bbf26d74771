// Model: configuration, tokenizer and weights of one checkpoint, placed on one backend. Immutable; one copy serves all.
#pragma once

#include <memory>
#include <optional>

#include "audio/log_mel.h"
#include "model/align_prompt.h"
#include "model/audio_encoder.h"
#include "model/front_end.h"
#include "model/prompt.h"
#include "model/text_decoder.h"
#include "model/weight_packer.h"
#include "text/tokenizer.h"
#include "weights/checkpoint_files.h"
#include "weights/model_config.h"

namespace qasr {

class Model {
 public:
  /// Borrows `files` and `weights` while constructing only: every backend packs its own copy of the weights.
  /// @throws Error kModel  the checkpoint is not usable: the message names file, found and expected
  Model(const CheckpointFiles& files, const ModelConfig& config, const WeightPacker& weights);

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const PromptBuilder& prompt() const { return prompt_.value(); }                   // of recognisers
  const AlignPromptBuilder& align_prompt() const { return align_prompt_.value(); }  // of forced aligners
  const LogMel& log_mel() const { return log_mel_; }
  const FrontEnd& front_end() const { return front_end_; }
  const AudioEncoder& encoder() const { return encoder_; }
  const TextDecoder& decoder() const { return decoder_; }

 private:
  ModelConfig config_;
  Tokenizer tokenizer_;
  std::optional<PromptBuilder> prompt_;
  std::optional<AlignPromptBuilder> align_prompt_;
  LogMel log_mel_;
  FrontEnd front_end_;
  AudioEncoder encoder_;
  TextDecoder decoder_;
};

/// The tokenizer of a checkpoint, from whichever of its files are present.
/// @throws Error kModel  files missing or broken, more tokens than the head has rows
Tokenizer load_tokenizer(const CheckpointFiles& files, const ModelConfig& config);

}  // namespace qasr
