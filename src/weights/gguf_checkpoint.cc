// See gguf_checkpoint.h. Sizes come from the tensors' shapes, which all writers agree on; only what shapes cannot say
// comes from metadata, whose keys differ from writer to writer and are told by their ends.
#include "weights/gguf_checkpoint.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>

#include "qasr/error.h"
#include "weights/config_json.h"
#include "weights/gguf.h"
#include "weights/gguf_tokenizer.h"
#include "weights/model_config.h"
#include "weights/tensor_names.h"

namespace qasr {
namespace {

constexpr std::int64_t kMaxSize = 1 << 20;
// Not in any GGUF file; the same in all published checkpoints.
constexpr int kWindow = 50, kWindowInfer = 800, kEncoderHeadDim = 64, kMaxPositions = 65536;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kModel, "cannot read " + where + ": " + what);
}

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return text.ends_with(end); });
}

// The parts of a checkpoint as one: metadata of any file, shapes of all tensors.
class Parts {
 public:
  Parts(std::span<const CheckpointFile* const> files, const std::string& where) {
    for (const CheckpointFile* file : files) {
      files_.emplace_back(file->bytes, where + "/" + file->name);
      for (const StoredTensor& tensor : files_.back().tensors()) {
        const std::string name = canonical_gguf_name(tensor.name).name;
        std::vector<std::int64_t> dims = tensor.dims;
        if (!tensor.name.ends_with("conv2d.1.weight")) std::erase(dims, 1);  // biases of [480, 1, 1]
        if (!name.empty()) shapes_[name] = dims;
      }
    }
  }

  const std::vector<GgufFile>& files() const { return files_; }
  bool has_tensor(const std::string& name) const { return shapes_.contains(name); }
  std::int64_t dim(const std::string& name, std::size_t axis) const {
    const auto found = shapes_.find(name);
    if (found == shapes_.end())
      fail(files_[0].where(), "no tensor for " + name + " found, which gives a size of the model");
    if (axis >= found->second.size() || found->second[axis] < 1 || found->second[axis] > kMaxSize) {
      fail(files_[0].where(), "the tensor for " + name + " has no dimension " + std::to_string(axis) + " of 1 to " +
                                  std::to_string(kMaxSize));
    }
    return found->second[axis];
  }
  int size(const std::string& name, std::size_t axis) const { return static_cast<int>(dim(name, axis)); }
  /// Layers that have this tensor: "PREFIX0SUFFIX" and so on.
  int count_layers(const std::string& prefix, const std::string& suffix) const {
    int layers = 0;
    while (has_tensor(prefix + std::to_string(layers) + suffix)) ++layers;
    return layers;
  }
  /// The first key that ends like this, of the first file that has one.
  std::optional<std::int64_t> integer(std::initializer_list<std::string_view> ends, std::int64_t low,
                                      std::int64_t high) const {
    for (const GgufFile& file : files_) {
      for (const std::string& key : file.keys()) {
        if (ends_with_any(key, ends)) return file.integer(key, low, high);
      }
    }
    return {};
  }
  double number(std::initializer_list<std::string_view> ends) const {
    for (const GgufFile& file : files_) {
      for (const std::string& key : file.keys()) {
        if (!ends_with_any(key, ends)) continue;
        if (const std::optional<double> value = file.number(key)) return *value;
      }
    }
    fail(files_[0].where(), "no key that ends in \"" + std::string(*ends.begin()) + "\" found");
  }

 private:
  std::vector<GgufFile> files_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
};

AudioEncoderConfig audio_config(const Parts& parts) {
  const std::string prefix = "audio_tower.";
  AudioEncoderConfig config;
  config.conv_channels = parts.size(prefix + "conv2d1.bias", 0);
  config.d_model = parts.size(prefix + "conv_out.weight", 0);
  const int rows =
      parts.size(prefix + "conv_out.weight", 1) / std::max(1, config.conv_channels);  // n_mels halved thrice
  config.n_mels =
      static_cast<int>(parts.integer({".num_mel_bins", ".n_mels"}, 1, kMaxSize).value_or(std::int64_t{rows} * 8));
  config.n_layers = parts.count_layers(prefix + "layers.", ".fc1.weight");
  if (config.n_layers == 0) fail(parts.files()[0].where(), "no layers of the audio encoder found");
  config.d_ff = parts.size(prefix + "layers.0.fc1.weight", 0);
  config.output_dim = parts.size(prefix + "proj2.weight", 0);
  config.n_heads = static_cast<int>(
      parts
          .integer({"audio.attention.head_count", "audio.encoder.attention.head_count", "audio.n_heads",
                    "encoder.n_heads", "encoder.attention.head_count", "encoder.head_count"},
                   1, kMaxSize)
          .value_or(std::max(1, config.d_model / kEncoderHeadDim)));
  config.n_window = kWindow;
  config.n_window_infer = kWindowInfer;
  return config;
}

TextDecoderConfig text_config(const Parts& parts) {
  const std::string layer = "model.layers.0.";
  TextDecoderConfig config;
  config.vocab = parts.size("model.embed_tokens.weight", 0);
  config.hidden = parts.size("model.embed_tokens.weight", 1);
  config.n_layers = parts.count_layers("model.layers.", ".self_attn.q_proj.weight");
  config.d_ff = parts.size(layer + "mlp.gate_proj.weight", 0);
  config.head_dim = parts.size(layer + "self_attn.q_norm.weight", 0);
  config.n_heads = parts.size(layer + "self_attn.q_proj.weight", 0) / config.head_dim;
  config.n_kv_heads = parts.size(layer + "self_attn.k_proj.weight", 0) / config.head_dim;
  if (config.n_heads < 1 || config.n_kv_heads < 1)
    fail(parts.files()[0].where(), "fewer rows of queries than a head has");
  config.rms_norm_eps =
      static_cast<float>(parts.number({"layer_norm_rms_epsilon", "rms_norm_eps", "rms_norm_epsilon"}));
  config.rope_theta = parts.number({"rope.freq_base", "rope_theta"});
  config.max_positions = static_cast<int>(
      parts.integer({".context_length", ".max_pos", ".max_positions", ".max_position_embeddings"}, 1, kMaxSize)
          .value_or(kMaxPositions));
  return config;
}

// A head of its own counts where it holds other bytes than the embedding: writers quantise it more finely.
bool has_own_head(const Parts& parts) {
  const StoredTensor *embedding = nullptr, *head = nullptr;
  for (const GgufFile& file : parts.files()) {
    for (const StoredTensor& tensor : file.tensors()) {
      const std::string name = canonical_gguf_name(tensor.name).name;
      if (name == "model.embed_tokens.weight") embedding = &tensor;
      if (name == "lm_head.weight") head = &tensor;
    }
  }
  return head != nullptr && embedding != nullptr && head->dtype_text != embedding->dtype_text;
}

ModelConfig model_config(const Parts& parts, const GgufTokenizer& tokenizer) {
  ModelConfig config;
  config.audio = audio_config(parts);
  config.text = text_config(parts);
  const std::string head = "lm_head.weight";
  if (parts.has_tensor(head) && parts.dim(head, 0) != config.text.vocab) {
    config.is_forced_aligner = true;
    config.n_classes = parts.size(head, 0);
  }
  config.text.tied_head = !config.is_forced_aligner && !has_own_head(parts);
  const std::optional<int> pad = tokenizer.id_of("<|audio_pad|>");
  const std::optional<std::int64_t> stored_pad =
      parts.integer({"audio_pad_token_id", "audio.pad_token_id", "audio_token_id"}, 0, config.text.vocab - 1);
  if (!pad && !stored_pad) {
    fail(parts.files()[0].where(), "neither a token <|audio_pad|> nor a key audio_pad_token_id found");
  }
  config.audio_token_id = pad ? *pad : static_cast<int>(*stored_pad);
  config.eos_token_ids = tokenizer.end_ids();
  for (const GgufFile& file : parts.files()) {
    config.recommended_max_segment_s = file.number("qasr.max_segment_s").value_or(config.recommended_max_segment_s);
    config.is_demo = config.is_demo || file.integer("qasr.demo", 0, 1).value_or(0) == 1;
  }
  return config;
}

OwnedFile owned(std::string name, const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {std::move(name), {begin, begin + text.size()}};
}

// What a file holds, by its tensors.
struct Content {
  const CheckpointFile* file;
  bool encoder = false, decoder = false;
};

std::string names_of(std::span<const Content> contents) {
  std::string names;
  for (const Content& content : contents) names += (names.empty() ? "" : ", ") + content.file->name;
  return names;
}

// The file with this part, if there is exactly one.
const CheckpointFile* only_one(const std::vector<Content>& contents, const char* what, const std::string& where) {
  if (contents.empty()) {
    fail(where,
         std::string("no GGUF file with the ") + what +
             " found: a text model needs the mmproj file of the same checkpoint beside it, and the other way round");
  }
  if (contents.size() > 1) {
    fail(where, std::string("several GGUF files hold the ") + what + " (" + names_of(contents) +
                    "): name the one to open, or keep one text model and one mmproj file in a directory");
  }
  return contents[0].file;
}

}  // namespace

std::vector<const CheckpointFile*> gguf_parts(std::span<const CheckpointFile* const> files,
                                              const CheckpointFile* wanted, const std::string& where) {
  std::vector<Content> whole, encoders, decoders;
  for (const CheckpointFile* file : files) {
    const GgufFile gguf(file->bytes, where + "/" + file->name);
    if (gguf.integer("split.count", 0, kMaxSize).value_or(1) > 1) {
      fail(gguf.where(),
           "one of several files of a split model, expected a whole one: join them with llama-gguf-split");
    }
    Content content{file};
    for (const StoredTensor& tensor : gguf.tensors()) {
      const std::string name = canonical_gguf_name(tensor.name).name;
      content.encoder = content.encoder || name == "audio_tower.conv_out.weight";
      content.decoder = content.decoder || name == "model.embed_tokens.weight";
    }
    if (file == wanted && !content.encoder && !content.decoder) {
      fail(gguf.where(),
           "architecture \"" + gguf.architecture() +
               "\", which has neither the audio encoder nor the text decoder of Qwen3-ASR under a known name");
    }
    const bool other = wanted != nullptr && file != wanted;
    if (content.encoder && content.decoder && !other) whole.push_back(content);
    if (content.encoder && !content.decoder) encoders.push_back(content);
    if (content.decoder && !content.encoder) decoders.push_back(content);
    if (file == wanted && content.encoder != content.decoder) (content.encoder ? encoders : decoders) = {content};
  }
  // The named file stays the only one of its kind, whatever comes after it.
  for (std::vector<Content>* part : {&encoders, &decoders}) {
    const auto named = std::find_if(part->begin(), part->end(), [&](const Content& c) { return c.file == wanted; });
    if (named != part->end()) *part = {Content(*named)};
  }
  const bool wants_pair = wanted != nullptr && whole.empty();
  if (!wants_pair && !whole.empty() && encoders.empty() + decoders.empty() > 0) {
    return {only_one(whole, "whole model", where)};
  }
  if (!wants_pair && !whole.empty() && wanted != nullptr) return {wanted};
  return {only_one(decoders, "text decoder", where), only_one(encoders, "audio encoder (mmproj)", where)};
}

std::vector<OwnedFile> gguf_side_files(std::span<const CheckpointFile* const> parts, const std::string& where) {
  const Parts model(parts, where);
  const GgufTokenizer tokenizer(model.files());
  const ModelConfig config = model_config(model, tokenizer);
  std::vector<OwnedFile> files;
  files.push_back(owned("config.json", config_json(config, DType::kF32)));
  files.push_back(owned("generation_config.json", generation_config_json(config)));
  for (const auto& [name, text] : tokenizer.files()) files.push_back(owned(name, text));
  return files;
}

}  // namespace qasr
