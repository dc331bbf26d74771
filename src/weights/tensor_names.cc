// See tensor_names.h.
#include "weights/tensor_names.h"

#include <algorithm>
#include <array>
#include <span>

namespace qasr {
namespace {

constexpr std::string_view kOfficialPrefix = "thinker.";

struct Prefixes {
  std::string_view transformers, canonical;
};

// More specific prefixes first: the projector lies inside the audio tower in canonical names.
constexpr std::array kPrefixes = {
    Prefixes{"model.multi_modal_projector.linear_1.", "audio_tower.proj1."},
    Prefixes{"model.multi_modal_projector.linear_2.", "audio_tower.proj2."},
    Prefixes{"model.audio_tower.", "audio_tower."},
    Prefixes{"model.language_model.", "model."},
    Prefixes{"score.", "lm_head."},  // the forced aligner's head
};

// Read and never written: the same without the leading "model.", and nested the other way, as some converters leave
// them.
constexpr std::array kAliases = {
    Prefixes{"multi_modal_projector.linear_1.", "audio_tower.proj1."},
    Prefixes{"multi_modal_projector.linear_2.", "audio_tower.proj2."},
    Prefixes{"language_model.model.", "model."},
    Prefixes{"language_model.lm_head.", "lm_head."},
    Prefixes{"language_model.", "model."},
};

struct GgufName {
  std::string_view stored, canonical;  // "#" is a layer's number
};
struct GgufLayout {
  NameLayout layout;
  std::span<const GgufName> names;
};

// What follows "blk.#." of the decoder; shared by all but transcribe.cpp.
constexpr std::array kGgufDecoder = {
    GgufName{"token_embd.", "model.embed_tokens."},
    GgufName{"output_norm.", "model.norm."},
    GgufName{"output.", "lm_head."},
    GgufName{"blk.#.attn_norm.", "model.layers.#.input_layernorm."},
    GgufName{"blk.#.attn_q.", "model.layers.#.self_attn.q_proj."},
    GgufName{"blk.#.attn_k.", "model.layers.#.self_attn.k_proj."},
    GgufName{"blk.#.attn_v.", "model.layers.#.self_attn.v_proj."},
    GgufName{"blk.#.attn_q_norm.", "model.layers.#.self_attn.q_norm."},
    GgufName{"blk.#.attn_k_norm.", "model.layers.#.self_attn.k_norm."},
    GgufName{"blk.#.attn_output.", "model.layers.#.self_attn.o_proj."},
    GgufName{"blk.#.ffn_norm.", "model.layers.#.post_attention_layernorm."},
    GgufName{"blk.#.ffn_gate.", "model.layers.#.mlp.gate_proj."},
    GgufName{"blk.#.ffn_up.", "model.layers.#.mlp.up_proj."},
    GgufName{"blk.#.ffn_down.", "model.layers.#.mlp.down_proj."},
};
constexpr std::array kLlamaCppEncoder = {
    GgufName{"a.conv2d.1.", "audio_tower.conv2d1."},
    GgufName{"a.conv2d.2.", "audio_tower.conv2d2."},
    GgufName{"a.conv2d.3.", "audio_tower.conv2d3."},
    GgufName{"a.conv_out.", "audio_tower.conv_out."},
    GgufName{"a.position_embd.", ""},
    GgufName{"a.blk.#.ln1.", "audio_tower.layers.#.self_attn_layer_norm."},
    GgufName{"a.blk.#.ln2.", "audio_tower.layers.#.final_layer_norm."},
    GgufName{"a.blk.#.attn_q.", "audio_tower.layers.#.self_attn.q_proj."},
    GgufName{"a.blk.#.attn_k.", "audio_tower.layers.#.self_attn.k_proj."},
    GgufName{"a.blk.#.attn_v.", "audio_tower.layers.#.self_attn.v_proj."},
    GgufName{"a.blk.#.attn_out.", "audio_tower.layers.#.self_attn.out_proj."},
    GgufName{"a.blk.#.ffn_up.", "audio_tower.layers.#.fc1."},
    GgufName{"a.blk.#.ffn_down.", "audio_tower.layers.#.fc2."},
    GgufName{"a.post_ln.", "audio_tower.ln_post."},
    GgufName{"mm.a.mlp.1.", "audio_tower.proj1."},
    GgufName{"mm.a.mlp.2.", "audio_tower.proj2."},
};
constexpr std::array kQwen3AsrCppEncoder = {
    GgufName{"audio.encoder.conv1.", "audio_tower.conv2d1."},
    GgufName{"audio.encoder.conv2.", "audio_tower.conv2d2."},
    GgufName{"audio.encoder.conv3.", "audio_tower.conv2d3."},
    GgufName{"audio.encoder.conv_out.", "audio_tower.conv_out."},
    GgufName{"audio.encoder.blk.#.attn_norm.", "audio_tower.layers.#.self_attn_layer_norm."},
    GgufName{"audio.encoder.blk.#.ffn_norm.", "audio_tower.layers.#.final_layer_norm."},
    GgufName{"audio.encoder.blk.#.attn_q.", "audio_tower.layers.#.self_attn.q_proj."},
    GgufName{"audio.encoder.blk.#.attn_k.", "audio_tower.layers.#.self_attn.k_proj."},
    GgufName{"audio.encoder.blk.#.attn_v.", "audio_tower.layers.#.self_attn.v_proj."},
    GgufName{"audio.encoder.blk.#.attn_out.", "audio_tower.layers.#.self_attn.out_proj."},
    GgufName{"audio.encoder.blk.#.ffn_up.", "audio_tower.layers.#.fc1."},
    GgufName{"audio.encoder.blk.#.ffn_down.", "audio_tower.layers.#.fc2."},
    GgufName{"audio.encoder.ln_post.", "audio_tower.ln_post."},
    GgufName{"audio.encoder.proj1.", "audio_tower.proj1."},
    GgufName{"audio.encoder.proj2.", "audio_tower.proj2."},
};
constexpr std::array kCrispAsrEncoder = {
    GgufName{"audio.conv.1.", "audio_tower.conv2d1."},
    GgufName{"audio.conv.2.", "audio_tower.conv2d2."},
    GgufName{"audio.conv.3.", "audio_tower.conv2d3."},
    GgufName{"audio.conv_out.", "audio_tower.conv_out."},
    GgufName{"audio.blk.#.attn_norm.", "audio_tower.layers.#.self_attn_layer_norm."},
    GgufName{"audio.blk.#.ffn_norm.", "audio_tower.layers.#.final_layer_norm."},
    GgufName{"audio.blk.#.attn_q.", "audio_tower.layers.#.self_attn.q_proj."},
    GgufName{"audio.blk.#.attn_k.", "audio_tower.layers.#.self_attn.k_proj."},
    GgufName{"audio.blk.#.attn_v.", "audio_tower.layers.#.self_attn.v_proj."},
    GgufName{"audio.blk.#.attn_out.", "audio_tower.layers.#.self_attn.out_proj."},
    GgufName{"audio.blk.#.ffn_up.", "audio_tower.layers.#.fc1."},
    GgufName{"audio.blk.#.ffn_down.", "audio_tower.layers.#.fc2."},
    GgufName{"audio.ln_post.", "audio_tower.ln_post."},
    GgufName{"audio.proj1.", "audio_tower.proj1."},
    GgufName{"audio.proj2.", "audio_tower.proj2."},
    GgufName{"audio.mel_filters", ""},
    GgufName{"audio.mel_window", ""},
};
constexpr std::array kTranscribeCpp = {
    GgufName{"enc.conv.0.", "audio_tower.conv2d1."},
    GgufName{"enc.conv.1.", "audio_tower.conv2d2."},
    GgufName{"enc.conv.2.", "audio_tower.conv2d3."},
    GgufName{"enc.conv_out.", "audio_tower.conv_out."},
    GgufName{"enc.blocks.#.norm_attn.", "audio_tower.layers.#.self_attn_layer_norm."},
    GgufName{"enc.blocks.#.norm_ffn.", "audio_tower.layers.#.final_layer_norm."},
    GgufName{"enc.blocks.#.attn.q.", "audio_tower.layers.#.self_attn.q_proj."},
    GgufName{"enc.blocks.#.attn.k.", "audio_tower.layers.#.self_attn.k_proj."},
    GgufName{"enc.blocks.#.attn.v.", "audio_tower.layers.#.self_attn.v_proj."},
    GgufName{"enc.blocks.#.attn.out.", "audio_tower.layers.#.self_attn.out_proj."},
    GgufName{"enc.blocks.#.ffn.fc1.", "audio_tower.layers.#.fc1."},
    GgufName{"enc.blocks.#.ffn.fc2.", "audio_tower.layers.#.fc2."},
    GgufName{"enc.ln_post.", "audio_tower.ln_post."},
    GgufName{"enc.proj1.", "audio_tower.proj1."},
    GgufName{"enc.proj2.", "audio_tower.proj2."},
    GgufName{"dec.token_embd.", "model.embed_tokens."},
    GgufName{"dec.output_norm.", "model.norm."},
    GgufName{"dec.output.", "lm_head."},
    GgufName{"dec.blocks.#.norm_attn.", "model.layers.#.input_layernorm."},
    GgufName{"dec.blocks.#.norm_ffn.", "model.layers.#.post_attention_layernorm."},
    GgufName{"dec.blocks.#.attn.q.", "model.layers.#.self_attn.q_proj."},
    GgufName{"dec.blocks.#.attn.k.", "model.layers.#.self_attn.k_proj."},
    GgufName{"dec.blocks.#.attn.v.", "model.layers.#.self_attn.v_proj."},
    GgufName{"dec.blocks.#.attn.o.", "model.layers.#.self_attn.o_proj."},
    GgufName{"dec.blocks.#.attn.q_norm.", "model.layers.#.self_attn.q_norm."},
    GgufName{"dec.blocks.#.attn.k_norm.", "model.layers.#.self_attn.k_norm."},
    GgufName{"dec.blocks.#.ffn.gate.", "model.layers.#.mlp.gate_proj."},
    GgufName{"dec.blocks.#.ffn.up.", "model.layers.#.mlp.up_proj."},
    GgufName{"dec.blocks.#.ffn.down.", "model.layers.#.mlp.down_proj."},
    GgufName{"frontend.", ""},
};
constexpr std::array kGgufLayouts = {
    GgufLayout{NameLayout::kBare, kGgufDecoder},  // says nothing about who wrote it
    GgufLayout{NameLayout::kLlamaCpp, kLlamaCppEncoder}, GgufLayout{NameLayout::kQwen3AsrCpp, kQwen3AsrCppEncoder},
    GgufLayout{NameLayout::kCrispAsr, kCrispAsrEncoder}, GgufLayout{NameLayout::kTranscribeCpp, kTranscribeCpp},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A leading number without superfluous zeros: "" if there is none.
std::string_view leading_number(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  return length > 1 && text[0] == '0' ? std::string_view() : text.substr(0, length);
}

// Whether `stored` begins with the pattern; `number` is what stands for "#", `rest` what follows.
bool matches(std::string_view pattern, std::string_view stored, std::string_view& number, std::string_view& rest) {
  const std::size_t hash = std::min(pattern.find('#'), pattern.size());
  if (!stored.starts_with(pattern.substr(0, hash))) return false;
  rest = stored.substr(hash);
  if (hash == pattern.size()) return true;
  number = leading_number(rest);
  if (number.empty() || !rest.substr(number.size()).starts_with(pattern.substr(hash + 1))) return false;
  rest = rest.substr(number.size() + pattern.size() - hash - 1);
  return true;
}

std::string replace_prefix(std::string_view name, std::string_view from, std::string_view to) {
  return std::string(to).append(name.substr(from.size()));
}

}  // namespace

std::string_view name_layout_text(NameLayout layout) {
  switch (layout) {
    case NameLayout::kOfficial:
      return "official";
    case NameLayout::kTransformers:
      return "transformers";
    case NameLayout::kBare:
      return "bare";
    case NameLayout::kLlamaCpp:
      return "llama.cpp";
    case NameLayout::kQwen3AsrCpp:
      return "qwen3-asr.cpp";
    case NameLayout::kCrispAsr:
      return "CrispASR";
    case NameLayout::kTranscribeCpp:
      return "transcribe.cpp";
  }
  return "?";
}

CanonicalName canonical_name(std::string_view stored) {
  if (stored.starts_with(kOfficialPrefix)) {
    return {std::string(stored.substr(kOfficialPrefix.size())), NameLayout::kOfficial};
  }
  for (const std::span<const Prefixes> table :
       {std::span<const Prefixes>(kPrefixes), std::span<const Prefixes>(kAliases)}) {
    for (const Prefixes& prefix : table) {
      if (stored.starts_with(prefix.transformers)) {
        return {replace_prefix(stored, prefix.transformers, prefix.canonical), NameLayout::kTransformers};
      }
    }
  }
  return {std::string(stored), NameLayout::kBare};
}

CanonicalName canonical_gguf_name(std::string_view stored) {
  for (const GgufLayout& layout : kGgufLayouts) {
    for (const GgufName& name : layout.names) {
      std::string_view number, rest;
      if (!matches(name.stored, stored, number, rest)) continue;
      std::string canonical(name.canonical);
      if (canonical.empty()) return {"", layout.layout};
      if (const std::size_t hash = canonical.find('#'); hash != std::string::npos) canonical.replace(hash, 1, number);
      return {canonical.append(rest), layout.layout};
    }
  }
  return canonical_name(stored);
}

std::string stored_name(std::string_view canonical, NameLayout layout, bool is_forced_aligner) {
  if (layout == NameLayout::kOfficial) return std::string(kOfficialPrefix).append(canonical);
  if (layout == NameLayout::kBare) return std::string(canonical);
  for (const Prefixes& prefix : kPrefixes) {
    if (!canonical.starts_with(prefix.canonical)) continue;
    if (prefix.transformers == "score." && !is_forced_aligner) continue;
    return replace_prefix(canonical, prefix.canonical, prefix.transformers);
  }
  return std::string(canonical);
}

}  // namespace qasr
