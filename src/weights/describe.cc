// See describe.h.
#include "weights/describe.h"

#include <algorithm>
#include <optional>

#include "tensor/quant_blocks.h"
#include "tensor/stored_blocks.h"
#include "weights/json_reader.h"

namespace qasr {
namespace {

// The common encoding of all matrices and convolutions, "mixed" if there is none; vectors do not count.
std::string matrix_dtype(const WeightStore& store) {
  std::optional<std::string> common;
  for (const HostTensor& tensor : store.all()) {
    if (tensor.shape.rank() < 2) continue;
    const std::string name = encoding_name(tensor);
    if (common && *common != name) return "mixed";
    common = name;
  }
  return common.value_or("f32");
}

std::vector<StoredType> stored_types(const WeightStore& store) {
  std::vector<StoredType> types;
  for (const HostTensor& tensor : store.all()) {
    const std::string name = encoding_name(tensor);
    const bool is_matrix = tensor.shape.rank() >= 2;
    const std::string held = !is_matrix ? "" : (stored_format(tensor) ? "as stored" : "q8");
    auto type =
        std::find_if(types.begin(), types.end(), [&](const StoredType& t) { return t.name == name && t.held == held; });
    if (type == types.end()) type = types.insert(types.end(), {.name = name, .held = held});
    ++type->n_tensors;
    type->n_parameters += static_cast<std::uint64_t>(tensor.shape.elements());
    type->bytes += stored_bytes(tensor);
  }
  std::stable_sort(types.begin(), types.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  return types;
}

std::vector<TensorInfo> tensor_list(const WeightStore& store) {
  std::vector<TensorInfo> list;
  for (const HostTensor& tensor : store.all()) {
    TensorInfo info{.name = tensor.name, .stored = encoding_name(tensor), .shape = {}, .bytes = stored_bytes(tensor)};
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) info.shape.push_back(tensor.shape[axis]);
    list.push_back(std::move(info));
  }
  return list;
}

// What a matrix takes in memory under a model-wide format; the rules are those of model/weight_formats.h.
double bits_per_weight(const HostTensor& tensor, WeightFormat format) {
  constexpr double kQ8Bits = 8 + 16.0 / kQuantBlock;
  if (format == WeightFormat::kAuto || format == WeightFormat::kStored) {
    if (const auto held = stored_format(tensor)) return bits_per_weight(tensor, *held);
    if (format == WeightFormat::kStored) return tensor.dtype == DType::kBf16 ? 16 : 32;
    return kQ8Bits;
  }
  if (format == WeightFormat::kF32) return 32;
  if (format == WeightFormat::kBf16) return 16;
  const bool is_decoder_layer = tensor.name.starts_with("model.layers.") || stored_format(tensor) == format;
  if (format == WeightFormat::kQ8 || !is_decoder_layer) return kQ8Bits;
  return format == WeightFormat::kQ4 ? 4.5 : 5;
}

std::vector<FormatMemory> memory_per_format(const WeightStore& store) {
  std::vector<FormatMemory> memory;
  for (const WeightFormat format : {WeightFormat::kAuto, WeightFormat::kStored, WeightFormat::kF32, WeightFormat::kBf16,
                                    WeightFormat::kQ8, WeightFormat::kQ4, WeightFormat::kQ4G32}) {
    double bits = 0;
    for (const HostTensor& tensor : store.all()) {
      const double each = tensor.shape.rank() < 2 ? 32 : bits_per_weight(tensor, format);
      bits += static_cast<double>(tensor.shape.elements()) * each;
    }
    memory.push_back({format, static_cast<std::uint64_t>(bits / 8)});
  }
  return memory;
}

std::vector<std::string> own_languages(const CheckpointFiles& files) {
  std::vector<std::string> languages;
  const nlohmann::json document = parse_json(files.require("config.json").text(), files.path_of("config.json"));
  const auto list = document.find("support_languages");
  if (list == document.end() || !list->is_array()) return languages;
  for (const nlohmann::json& language : *list) {
    if (language.is_string()) languages.push_back(language.get<std::string>());
  }
  return languages;
}

// Keys and values of one position in every layer.
std::uint64_t kv_bytes_per_token(const TextDecoderConfig& config) {
  return 2 * static_cast<std::uint64_t>(config.n_layers) * static_cast<std::uint64_t>(config.n_kv_heads) *
         static_cast<std::uint64_t>(config.head_dim) * dtype_bytes(DType::kBf16);
}

}  // namespace

ModelInfo describe_checkpoint(const CheckpointFiles& files, const ModelConfig& config, const WeightStore& store) {
  const ParameterCounts counts = count_parameters(config);
  const AudioEncoderConfig& audio = config.audio;
  const TextDecoderConfig& text = config.text;
  ModelInfo info;
  info.path = files.where();
  info.container = store.is_gguf() ? "gguf" : "safetensors";
  info.layout = name_layout_text(store.name_layout());
  info.types = stored_types(store);
  info.tensors = tensor_list(store);
  info.memory = memory_per_format(store);
  info.languages = own_languages(files);
  info.is_forced_aligner = config.is_forced_aligner;
  info.n_head_parameters = counts.head;
  info.dtype = matrix_dtype(store);
  info.n_parameters = counts.total();
  info.n_encoder_parameters = counts.encoder;
  info.n_decoder_parameters = counts.decoder;
  info.n_embedding_parameters = counts.embedding;
  info.file_bytes = store.shard_bytes();
  info.kv_cache_bytes_per_token = kv_bytes_per_token(text);
  info.n_tensors = store.n_stored();
  info.n_shards = store.n_shards();
  info.n_mels = audio.n_mels;
  info.d_model = audio.d_model;
  info.encoder_layers = audio.n_layers;
  info.encoder_heads = audio.n_heads;
  info.encoder_d_ff = audio.d_ff;
  info.conv_channels = audio.conv_channels;
  info.hidden = text.hidden;
  info.decoder_layers = text.n_layers;
  info.n_heads = text.n_heads;
  info.n_kv_heads = text.n_kv_heads;
  info.head_dim = text.head_dim;
  info.d_ff = text.d_ff;
  info.vocab = text.vocab;
  info.max_positions = text.max_positions;
  info.eos_token_ids = config.eos_token_ids;
  info.tied_head = text.tied_head;
  info.is_demo = config.is_demo;
  info.recommended_max_segment_s = config.recommended_max_segment_s;
  return info;
}

}  // namespace qasr
