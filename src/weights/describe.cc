// See describe.h.
#include "weights/describe.h"

#include <optional>

namespace qasr {
namespace {

// The common dtype of all matrices and convolutions, "mixed" if there is none; vectors do not count.
std::string matrix_dtype(const WeightStore& store) {
  std::optional<DType> dtype;
  for (const HostTensor& tensor : store.all()) {
    if (tensor.shape.rank() < 2) continue;
    if (dtype && *dtype != tensor.dtype) return "mixed";
    dtype = tensor.dtype;
  }
  return std::string(dtype_name(dtype.value_or(DType::kF32)));
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
  info.layout = name_layout_text(store.name_layout());
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
