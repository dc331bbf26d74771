// config.json (+ generation_config.json) -> sizes. Every size comes from the file; a missing key is an error, never a
// class default. Member -> key, official layout (prefix thinker_config.) / transformers layout where it differs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weights/checkpoint_files.h"

namespace qasr {

struct AudioEncoderConfig {      // audio_config
  int n_mels = 0;                // num_mel_bins
  int n_layers = 0;              // encoder_layers | num_hidden_layers
  int n_heads = 0;               // encoder_attention_heads | num_attention_heads
  int d_ff = 0;                  // encoder_ffn_dim | intermediate_size
  int d_model = 0;               // d_model | hidden_size
  int output_dim = 0;            // output_dim
  int conv_channels = 0;         // downsample_hidden_size
  int n_window = 0;              // n_window: half a convolution chunk, in frames
  int n_window_infer = 0;        // n_window_infer: attention window, in frames
  float layer_norm_eps = 1e-5F;  // not in the file: torch.nn.LayerNorm's

  int head_dim() const { return d_model / n_heads; }
  int chunk_frames() const { return 2 * n_window; }
  bool operator==(const AudioEncoderConfig&) const = default;
};

struct TextDecoderConfig {  // text_config
  int vocab = 0;            // vocab_size
  int hidden = 0;           // hidden_size
  int d_ff = 0;             // intermediate_size
  int n_layers = 0;         // num_hidden_layers
  int n_heads = 0;          // num_attention_heads
  int n_kv_heads = 0;       // num_key_value_heads
  int head_dim = 0;         // head_dim
  float rms_norm_eps = 0;   // rms_norm_eps
  double rope_theta = 0;    // rope_theta | rope_parameters.rope_theta
  int max_positions = 0;    // max_position_embeddings
  bool tied_head = false;   // tie_word_embeddings; never for the forced aligner
  bool operator==(const TextDecoderConfig&) const = default;
};

enum class CheckpointLayout { kOfficial, kTransformers };

struct ModelConfig {
  CheckpointLayout layout = CheckpointLayout::kOfficial;
  AudioEncoderConfig audio;
  TextDecoderConfig text;
  int audio_token_id = 0;          // audio_token_id: the placeholder <|audio_pad|>
  std::vector<int> eos_token_ids;  // generation_config.json eos_token_id, else eos_token_id
  int max_new_tokens = 0;          // generation_config.json max_new_tokens; 0 if absent
  bool is_forced_aligner = false;  // model_type contains forced_aligner, or classify_num / num_labels present, or
                                   // architectures names a ...ForTokenClassification
  int n_classes = 0;               // classify_num | num_labels | size of id2label; 0 for ASR
  int timestamp_token_id = -1;     // timestamp_token_id: the aligner's slot; -1 if absent
  int class_ms = 80;               // timestamp_segment_time: what one class means; 80 if absent, as in transformers
  // Our own hints, present in the demonstration model only.
  bool is_demo = false;                  // qasr_demo
  double recommended_max_segment_s = 0;  // qasr_max_segment_s; 0 if absent
  bool operator==(const ModelConfig&) const = default;
};

/// The layout is told by the presence of thinker_config; tensor names may follow the other one.
/// @throws Error kModel  broken JSON (with position), missing or mistyped key, a size that is not positive or beyond
///                       reason, sizes that contradict each other (heads do not divide, odd head_dim), a variant of the
///                       model that the engine does not compute (another activation, biases, sliding window)
ModelConfig parse_model_config(const CheckpointFiles& files);

}  // namespace qasr
