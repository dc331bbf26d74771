// See expected_tensors.h. Source: the published checkpoints; Qwen3ASREncoder and Qwen3Model in Hugging Face
// transformers 5.17.
#include "weights/expected_tensors.h"

#include <utility>

namespace qasr {
namespace {

constexpr std::string_view kEncoderPrefix = "audio_tower.";
constexpr std::string_view kEmbedding = "model.embed_tokens.weight";
constexpr std::string_view kHead = "lm_head.weight";

// Collects names under a prefix.
class TensorList {
 public:
  void add(const std::string& name, Shape shape) { tensors_.push_back({.name = prefix_ + name, .shape = shape}); }
  // NAME.weight [outputs, inputs] and NAME.bias [outputs]
  void add_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs) {
    add(name + ".weight", {outputs, inputs});
    add(name + ".bias", {outputs});
  }
  void add_layer_norm(const std::string& name, std::int64_t size) {
    add(name + ".weight", {size});
    add(name + ".bias", {size});
  }
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
  std::vector<ExpectedTensor> take() { return std::move(tensors_); }
  void mark_last_optional() { tensors_.back().optional = true; }

 private:
  std::vector<ExpectedTensor> tensors_;
  std::string prefix_;
};

void add_encoder(TensorList& list, const AudioEncoderConfig& config) {
  const std::string prefix(kEncoderPrefix);
  list.set_prefix(prefix);
  for (int conv = 1; conv <= 3; ++conv) {
    const std::string name = "conv2d" + std::to_string(conv);
    list.add(name + ".weight", {config.conv_channels, conv == 1 ? 1 : config.conv_channels, 3, 3});
    list.add(name + ".bias", {config.conv_channels});
  }
  list.add("conv_out.weight", {config.d_model, config.conv_channels * halved(config.n_mels, 3)});
  for (int layer = 0; layer < config.n_layers; ++layer) {
    list.set_prefix(prefix + "layers." + std::to_string(layer) + ".");
    list.add_layer_norm("self_attn_layer_norm", config.d_model);
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      list.add_linear(std::string("self_attn.") + projection, config.d_model, config.d_model);
    }
    list.add_layer_norm("final_layer_norm", config.d_model);
    list.add_linear("fc1", config.d_ff, config.d_model);
    list.add_linear("fc2", config.d_model, config.d_ff);
  }
  list.set_prefix(prefix);
  list.add_layer_norm("ln_post", config.d_model);
  list.add_linear("proj1", config.d_model, config.d_model);
  list.add_linear("proj2", config.output_dim, config.d_model);
}

void add_decoder(TensorList& list, const TextDecoderConfig& config) {
  const std::int64_t q_rows = std::int64_t{config.n_heads} * config.head_dim;
  const std::int64_t kv_rows = std::int64_t{config.n_kv_heads} * config.head_dim;
  list.set_prefix("");
  list.add(std::string(kEmbedding), {config.vocab, config.hidden});
  for (int layer = 0; layer < config.n_layers; ++layer) {
    list.set_prefix("model.layers." + std::to_string(layer) + ".");
    list.add("input_layernorm.weight", {config.hidden});
    list.add("self_attn.q_proj.weight", {q_rows, config.hidden});
    list.add("self_attn.k_proj.weight", {kv_rows, config.hidden});
    list.add("self_attn.v_proj.weight", {kv_rows, config.hidden});
    list.add("self_attn.q_norm.weight", {config.head_dim});
    list.add("self_attn.k_norm.weight", {config.head_dim});
    list.add("self_attn.o_proj.weight", {config.hidden, q_rows});
    list.add("post_attention_layernorm.weight", {config.hidden});
    list.add("mlp.gate_proj.weight", {config.d_ff, config.hidden});
    list.add("mlp.up_proj.weight", {config.d_ff, config.hidden});
    list.add("mlp.down_proj.weight", {config.hidden, config.d_ff});
  }
  list.set_prefix("");
  list.add("model.norm.weight", {config.hidden});
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  TensorList list;
  add_encoder(list, config.audio);
  add_decoder(list, config.text);
  list.add(std::string(kHead), {config.is_forced_aligner ? config.n_classes : config.text.vocab, config.text.hidden});
  if (config.text.tied_head) list.mark_last_optional();
  return list.take();
}

ParameterCounts count_parameters(const ModelConfig& config) {
  ParameterCounts counts;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    const auto elements = static_cast<std::uint64_t>(tensor.shape.elements());
    if (tensor.optional) continue;
    if (tensor.name == kHead) {
      counts.head += elements;
    } else if (tensor.name == kEmbedding) {
      counts.embedding += elements;
    } else if (tensor.name.starts_with(kEncoderPrefix)) {
      counts.encoder += elements;
    } else {
      counts.decoder += elements;
    }
  }
  return counts;
}

}  // namespace qasr
