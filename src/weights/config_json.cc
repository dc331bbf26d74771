// See config_json.h. Source of keys and nesting: config.json of the published checkpoints; Qwen3ASRConfig in Hugging
// Face transformers 5.17.
#include "weights/config_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "weights/expected_tensors.h"

namespace qasr {
namespace {

using Json = nlohmann::ordered_json;

std::string torch_dtype(DType dtype) {
  switch (dtype) {
    case DType::kBf16:
      return "bfloat16";
    case DType::kF16:
      return "float16";
    default:
      return "float32";
  }
}

// The shortest decimal that is this f32: 1e-06, not 9.999999974752427e-07.
double decimal(float value) {
  for (int digits = 1; digits < 9; ++digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*e", digits - 1, static_cast<double>(value));
    const double candidate = std::strtod(text, nullptr);
    if (static_cast<float>(candidate) == value) return candidate;
  }
  return value;
}

Json audio_json(const AudioEncoderConfig& config, CheckpointLayout layout) {
  const bool is_official = layout == CheckpointLayout::kOfficial;
  Json json = {{"model_type", is_official ? "qwen3_asr_audio_encoder" : "qwen3_asr_encoder"},
               {"num_mel_bins", config.n_mels},
               {"encoder_layers", config.n_layers},
               {"encoder_attention_heads", config.n_heads},
               {"encoder_ffn_dim", config.d_ff},
               {"d_model", config.d_model},
               {"output_dim", config.output_dim},
               {"downsample_hidden_size", config.conv_channels},
               {"n_window", config.n_window},
               {"n_window_infer", config.n_window_infer},
               {"activation_function", "gelu"},
               {"scale_embedding", false}};
  if (is_official) {
    json.update({{"conv_chunksize", 500}, {"max_source_positions", 1500}});
  } else {
    json["max_position_embeddings"] = halved(config.chunk_frames(), 3);  // tokens in a chunk
  }
  return json;
}

Json text_json(const TextDecoderConfig& config, CheckpointLayout layout) {
  Json json = {{"model_type", "qwen3"},
               {"vocab_size", config.vocab},
               {"hidden_size", config.hidden},
               {"intermediate_size", config.d_ff},
               {"num_hidden_layers", config.n_layers},
               {"num_attention_heads", config.n_heads},
               {"num_key_value_heads", config.n_kv_heads},
               {"head_dim", config.head_dim},
               {"hidden_act", "silu"},
               {"rms_norm_eps", decimal(config.rms_norm_eps)},
               {"max_position_embeddings", config.max_positions},
               {"attention_bias", false},
               {"tie_word_embeddings", config.tied_head}};
  if (layout == CheckpointLayout::kOfficial) {
    json["rope_theta"] = config.rope_theta;
    json["rope_scaling"] = nullptr;
  } else {
    json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", config.rope_theta}};
  }
  return json;
}

Json official_json(const ModelConfig& config, DType dtype) {
  Json thinker = {{"model_type", config.is_forced_aligner ? "qwen3_forced_aligner" : "qwen3_asr_thinker"},
                  {"dtype", torch_dtype(dtype)},
                  {"audio_token_id", config.audio_token_id},
                  {"audio_config", audio_json(config.audio, config.layout)},
                  {"text_config", text_json(config.text, config.layout)}};
  if (config.is_forced_aligner) thinker["classify_num"] = config.n_classes;
  Json json = {{"architectures", {"Qwen3ASRForConditionalGeneration"}},
               {"model_type", "qwen3_asr"},
               {"thinker_config", thinker}};
  if (config.is_forced_aligner) json["timestamp_segment_time"] = config.class_ms;
  return json;
}

Json transformers_json(const ModelConfig& config, DType dtype) {
  Json json = {{"architectures",
                {config.is_forced_aligner ? "Qwen3ASRForTokenClassification" : "Qwen3ASRForConditionalGeneration"}},
               {"model_type", "qwen3_asr"},
               {"dtype", torch_dtype(dtype)},
               {"audio_token_id", config.audio_token_id},
               {"eos_token_id", config.eos_token_ids},
               {"tie_word_embeddings", config.text.tied_head},
               {"audio_config", audio_json(config.audio, config.layout)},
               {"text_config", text_json(config.text, config.layout)}};
  if (config.is_forced_aligner) {  // transformers keeps the number of classes as the number of labels
    for (int label = 0; label < config.n_classes; ++label) {
      json["id2label"][std::to_string(label)] = "LABEL_" + std::to_string(label);
    }
    json["token_classification_bias"] = false;
  }
  return json;
}

std::string text_of(const Json& json) { return json.dump(2) + "\n"; }

}  // namespace

std::string config_json(const ModelConfig& config, DType dtype) {
  const bool is_official = config.layout == CheckpointLayout::kOfficial;
  Json json = is_official ? official_json(config, dtype) : transformers_json(config, dtype);
  if (config.timestamp_token_id >= 0) json["timestamp_token_id"] = config.timestamp_token_id;
  if (config.is_demo) json["qasr_demo"] = true;
  if (config.recommended_max_segment_s > 0) json["qasr_max_segment_s"] = config.recommended_max_segment_s;
  return text_of(json);
}

std::string generation_config_json(const ModelConfig& config) {
  Json json = {{"do_sample", false}, {"eos_token_id", config.eos_token_ids}};
  if (!config.eos_token_ids.empty()) json["pad_token_id"] = config.eos_token_ids.front();
  if (config.max_new_tokens > 0) json["max_new_tokens"] = config.max_new_tokens;
  return text_of(json);
}

std::string preprocessor_config_json(const ModelConfig& config) {
  return text_of({{"feature_extractor_type", "WhisperFeatureExtractor"},
                  {"feature_size", config.audio.n_mels},
                  {"sampling_rate", 16000},
                  {"hop_length", 160},
                  {"n_fft", 400},
                  {"chunk_length", 30},
                  {"n_samples", 480000},
                  {"nb_max_frames", 3000},
                  {"padding_side", "right"},
                  {"padding_value", 0.0},
                  {"dither", 0.0},
                  {"return_attention_mask", true}});
}

}  // namespace qasr
