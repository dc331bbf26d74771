// See model_config.h. Source: config.json of the published checkpoints; Qwen3ASRConfig in Hugging Face
// transformers 5.17.
#include "weights/model_config.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "qasr/error.h"
#include "weights/json_reader.h"

namespace qasr {
namespace {

constexpr std::int64_t kMaxSize = 1 << 20;    // of any one dimension: 7 times the largest published
constexpr std::int64_t kMaxLayers = 1 << 10;  // keeps a list of tensors short, whatever a file claims
constexpr const char* kConfigName = "config.json";
constexpr const char* kGenerationName = "generation_config.json";

int size_of(const JsonObject& object, JsonObject::Keys keys, std::int64_t low = 1, std::int64_t high = kMaxSize) {
  return static_cast<int>(object.integer(keys, low, high));
}

// Refuses variants of the model that would silently give wrong results. Absent keys mean the published variant.
void require_string(const JsonObject& object, const char* key, const std::string& expected) {
  const std::string found = object.string_or(key, expected);
  if (found != expected) object.fail(key, "\"" + found + "\"", "\"" + expected + "\", the only kind supported");
}
void require_false(const JsonObject& object, const char* key) {
  if (object.boolean_or(key, false)) object.fail(key, "true", "false, the only kind supported");
}

AudioEncoderConfig parse_audio(const JsonObject& json) {
  AudioEncoderConfig config;
  config.n_mels = size_of(json, {"num_mel_bins"});
  config.n_layers = size_of(json, {"encoder_layers", "num_hidden_layers"}, 1, kMaxLayers);
  config.n_heads = size_of(json, {"encoder_attention_heads", "num_attention_heads"});
  config.d_ff = size_of(json, {"encoder_ffn_dim", "intermediate_size"});
  config.d_model = size_of(json, {"d_model", "hidden_size"}, 4);  // the positions' exponents divide by d_model / 2 - 1
  config.output_dim = size_of(json, {"output_dim"});
  config.conv_channels = size_of(json, {"downsample_hidden_size"}, 1, kMaxSize / 8);
  config.n_window = size_of(json, {"n_window"}, 1, kMaxSize / 2);
  config.n_window_infer = size_of(json, {"n_window_infer"});
  require_string(json, "activation_function", "gelu");
  require_false(json, "scale_embedding");

  if (config.d_model % config.n_heads != 0 || config.d_model % 2 != 0) {
    json.fail("d_model", std::to_string(config.d_model),
              "an even multiple of the " + std::to_string(config.n_heads) + " attention heads");
  }
  if (config.n_window_infer % config.chunk_frames() != 0) {
    json.fail("n_window_infer", std::to_string(config.n_window_infer),
              "a multiple of 2 * n_window = " + std::to_string(config.chunk_frames()));
  }
  return config;
}

// RoPE parameters: rope_parameters (transformers 5), or rope_theta beside an optional rope_scaling. The multimodal
// sections of the official rope_scaling change nothing: text and audio share one position per token.
double parse_rope_theta(const JsonObject& json) {
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const std::optional<JsonObject> rope = json.find_object(key);
    if (!rope) continue;
    const char* type_key = rope->has("rope_type") ? "rope_type" : "type";
    const std::string type = rope->string_or(type_key, "default");
    if (type != "mrope") require_string(*rope, type_key, "default");
    if (rope->has("rope_theta")) return rope->number({"rope_theta"}, 1, 1e12);
  }
  return json.number({"rope_theta"}, 1, 1e12);
}

TextDecoderConfig parse_text(const JsonObject& json) {
  TextDecoderConfig config;
  config.vocab = size_of(json, {"vocab_size"});
  config.hidden = size_of(json, {"hidden_size"});
  config.d_ff = size_of(json, {"intermediate_size"});
  config.n_layers = size_of(json, {"num_hidden_layers"}, 1, kMaxLayers);
  config.n_heads = size_of(json, {"num_attention_heads"});
  config.n_kv_heads = size_of(json, {"num_key_value_heads"});
  config.head_dim = size_of(json, {"head_dim"});
  config.rms_norm_eps = static_cast<float>(json.number({"rms_norm_eps"}, 0, 1));
  config.rope_theta = parse_rope_theta(json);
  config.max_positions = size_of(json, {"max_position_embeddings"});
  require_string(json, "hidden_act", "silu");
  require_false(json, "attention_bias");
  require_false(json, "use_sliding_window");

  if (config.n_heads % config.n_kv_heads != 0) {
    json.fail("num_attention_heads", std::to_string(config.n_heads),
              "a multiple of num_key_value_heads = " + std::to_string(config.n_kv_heads));
  }
  if (config.head_dim % 2 != 0) json.fail("head_dim", std::to_string(config.head_dim), "an even number");
  if (std::int64_t{config.n_heads} * config.head_dim > kMaxSize) {
    json.fail("head_dim", std::to_string(config.head_dim),
              "at most " + std::to_string(kMaxSize) + " divided by the " + std::to_string(config.n_heads) + " heads");
  }
  return config;
}

// A token id or an array of them; empty if the key is absent.
std::vector<int> parse_token_ids(const JsonObject& json, const char* key, int vocab) {
  const nlohmann::json* value = json.find(key);
  if (value == nullptr) return {};
  const std::string expected = "token ids from 0 to " + std::to_string(vocab - 1);
  const nlohmann::json list = value->is_array() ? *value : nlohmann::json::array({*value});
  std::vector<int> ids;
  for (const nlohmann::json& id : list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocab)) {
      json.fail(key, describe_json(id), expected);
    }
    ids.push_back(id.get<int>());
  }
  if (ids.empty()) json.fail(key, "an empty array", expected);
  return ids;
}

// What comes from generation_config.json where it exists, else from config.json's end-of-sequence ids.
void parse_generation(const CheckpointFiles& files, const JsonObject& root, const JsonObject& thinker,
                      ModelConfig& config) {
  const int vocab = config.text.vocab;
  if (const CheckpointFile* file = files.find(kGenerationName)) {
    const std::string where = files.path_of(kGenerationName);
    const nlohmann::json document = parse_json(file->text(), where);
    const JsonObject generation(document, where);
    config.eos_token_ids = parse_token_ids(generation, "eos_token_id", vocab);
    if (generation.has("max_new_tokens")) config.max_new_tokens = size_of(generation, {"max_new_tokens"});
  }
  for (const JsonObject& object : {root, thinker, thinker.object("text_config")}) {
    if (config.eos_token_ids.empty()) config.eos_token_ids = parse_token_ids(object, "eos_token_id", vocab);
  }
  if (config.eos_token_ids.empty() && !config.is_forced_aligner) {
    throw Error(ErrorCode::kModel, "eos_token_id is missing, expected token ids in " + files.path_of(kGenerationName) +
                                       " or " + files.path_of(kConfigName));
  }
}

bool names_token_classifier(const JsonObject& root) {
  const nlohmann::json* architectures = root.find("architectures");
  if (architectures == nullptr || !architectures->is_array()) return false;
  return std::any_of(architectures->begin(), architectures->end(), [](const nlohmann::json& name) {
    return name.is_string() && name.get_ref<const std::string&>().ends_with("ForTokenClassification");
  });
}

// Tells the forced aligner from the recogniser, and its number of classes. transformers 5 stores no num_labels: the
// number is the size of id2label, which recognisers carry too (two meaningless labels), so the class name decides.
void parse_head(const JsonObject& root, const JsonObject& thinker, ModelConfig& config) {
  for (const JsonObject& object : {thinker, root}) {
    const bool has_type = object.string_or("model_type", "").find("forced_aligner") != std::string::npos;
    const bool has_count = object.has("classify_num") || object.has("num_labels");
    config.is_forced_aligner = config.is_forced_aligner || has_type || has_count;
    if (has_count) config.n_classes = size_of(object, {"classify_num", "num_labels"});
  }
  const nlohmann::json* labels = root.find("id2label");
  if (names_token_classifier(root)) {
    config.is_forced_aligner = true;
    if (config.n_classes == 0 && labels != nullptr && labels->is_object()) {
      config.n_classes = static_cast<int>(std::min<std::size_t>(labels->size(), kMaxSize));
    }
  }
  if (config.is_forced_aligner && config.n_classes == 0)
    thinker.fail("classify_num", "missing", "the number of classes");
  if (config.is_forced_aligner) require_false(root, "token_classification_bias");
  for (const JsonObject& object : {thinker, root}) {
    if (!config.is_forced_aligner) break;
    if (object.has("timestamp_token_id")) {
      config.timestamp_token_id = size_of(object, {"timestamp_token_id"}, 0, config.text.vocab - 1);
    }
    if (object.has("timestamp_segment_time")) {
      config.class_ms = size_of(object, {"timestamp_segment_time"}, 1, 1000);
    }
  }
}

// transformers ties by the top level's flag, the official code by the decoder's; each falls back on the other.
bool parse_tied_head(const JsonObject& root, const JsonObject& text, CheckpointLayout layout) {
  const char* key = "tie_word_embeddings";
  const JsonObject& first = layout == CheckpointLayout::kTransformers ? root : text;
  const JsonObject& second = layout == CheckpointLayout::kTransformers ? text : root;
  if (!first.has(key) && !second.has(key)) text.fail(key, "missing", "true or false");
  return (first.has(key) ? first : second).boolean_or(key, false);
}

}  // namespace

ModelConfig parse_model_config(const CheckpointFiles& files) {
  const std::string where = files.path_of(kConfigName);
  const nlohmann::json document = parse_json(files.require(kConfigName).text(), where);
  const JsonObject root(document, where);
  const std::optional<JsonObject> nested = root.find_object("thinker_config");
  const JsonObject& thinker = nested ? *nested : root;

  ModelConfig config;
  config.layout = nested ? CheckpointLayout::kOfficial : CheckpointLayout::kTransformers;
  config.audio = parse_audio(thinker.object("audio_config"));
  const JsonObject text = thinker.object("text_config");
  config.text = parse_text(text);
  if (config.audio.output_dim != config.text.hidden) {
    thinker.object("audio_config")
        .fail("output_dim", std::to_string(config.audio.output_dim),
              "the decoder's hidden_size " + std::to_string(config.text.hidden));
  }
  config.audio_token_id = size_of(thinker, {"audio_token_id"}, 0, config.text.vocab - 1);
  parse_head(root, thinker, config);
  config.text.tied_head = !config.is_forced_aligner && parse_tied_head(root, text, config.layout);
  parse_generation(files, root, thinker, config);
  config.is_demo = root.boolean_or("qasr_demo", false);
  if (root.has("qasr_max_segment_s")) config.recommended_max_segment_s = root.number({"qasr_max_segment_s"}, 0, 1e6);
  return config;
}

}  // namespace qasr
