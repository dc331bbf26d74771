// See gguf_tokenizer.h. Source of the keys: ggml-org/ggml docs/gguf.md.
#include "weights/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "qasr/error.h"
#include "weights/json_reader.h"

namespace qasr {
namespace {

using nlohmann::json;

constexpr std::int64_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;  // token types
constexpr std::int64_t kMaxId = 1 << 20;

struct KnownToken {
  int id;
  std::string_view content;
  bool special;
};

// What the engine needs of the added tokens of the published checkpoints. Some writers leave "[PAD151676]" in their
// place.
constexpr std::array kPublished = {
    KnownToken{151643, "<|endoftext|>", true}, KnownToken{151644, "<|im_start|>", true},
    KnownToken{151645, "<|im_end|>", true},    KnownToken{151669, "<|audio_start|>", true},
    KnownToken{151670, "<|audio_end|>", true}, KnownToken{151676, "<|audio_pad|>", true},
    KnownToken{151704, "<asr_text>", false},
};

[[noreturn]] void fail(const GgufFile& file, const std::string& what) {
  throw Error(ErrorCode::kModel, "cannot read " + file.where() + ": " + what);
}

std::string quoted(const GgufFile& file, std::string_view text) {
  try {
    return json(text).dump();
  } catch (const json::exception&) {
    fail(file, "tokenizer.ggml.tokens has a token that is not UTF-8");
  }
}

bool is_placeholder(std::string_view token) { return token.starts_with("[PAD") && token.ends_with("]"); }

}  // namespace

GgufTokenizer::GgufTokenizer(const std::vector<GgufFile>& files) {
  for (const GgufFile& file : files) {
    const auto eos = file.integer("tokenizer.ggml.eos_token_id", 0, kMaxId);
    if (eos && !eos_) eos_ = static_cast<int>(*eos);
  }
  for (const GgufFile& file : files) {
    if (!file.has("tokenizer.ggml.tokens")) continue;
    read_tokens(file);
    return;
  }
  for (const GgufFile& file : files) {
    const std::string text = file.text_or("tokenizer.huggingface.json", "");
    if (text.empty()) continue;
    const std::string where = file.where() + ", tokenizer.huggingface.json";
    const json document = parse_json(text, where);
    const json none = json::array();
    for (const json& token : document.is_object() ? document.value("added_tokens", none) : none) {
      const JsonObject entry(token, where, "added_tokens");
      added_.push_back({static_cast<int>(entry.integer({"id"}, 0, kMaxId)), entry.string_or("content", ""),
                        entry.boolean_or("special", false)});
    }
    files_.emplace_back("tokenizer.json", text);
    return;
  }
  fail(files[0], "no tokenizer found, expected the key tokenizer.ggml.tokens or tokenizer.huggingface.json");
}

void GgufTokenizer::read_tokens(const GgufFile& file) {
  const std::string model = file.text_or("tokenizer.ggml.model", "gpt2");
  if (model != "gpt2") fail(file, "tokenizer.ggml.model is \"" + model + "\", expected \"gpt2\" (byte-level BPE)");
  const std::vector<std::int64_t> types = file.integers("tokenizer.ggml.token_type");
  std::string vocab = "{", merges = "#version: 0.2\n";
  std::size_t id = 0;
  file.each_string("tokenizer.ggml.tokens", [&](std::string_view token) {
    const std::int64_t type = id < types.size() ? types[id] : kNormal;
    const bool special_text = token.starts_with("<|") && token.ends_with("|>");
    if (type == kControl || type == kUserDefined || (types.empty() && special_text)) {
      added_.push_back({static_cast<int>(id), std::string(token), type != kUserDefined});
    } else if (type != kUnused && !is_placeholder(token)) {
      vocab += (vocab.size() > 1 ? ", " : "") + quoted(file, token) + ": " + std::to_string(id);
    }
    ++id;
  });
  if (!types.empty() && types.size() != id) {
    fail(file, "tokenizer.ggml.token_type has " + std::to_string(types.size()) +
                   " elements, expected one for each of the " + std::to_string(id) + " tokens");
  }
  if (!file.each_string("tokenizer.ggml.merges", [&](std::string_view merge) { merges.append(merge) += '\n'; })) {
    fail(file, "no key tokenizer.ggml.merges found");
  }
  add_missing(id);
  json decoder = json::object();
  for (const Added& token : added_) {
    quoted(file, token.content);
    decoder[std::to_string(token.id)] = {{"content", token.content}, {"special", token.special},
                                         {"normalized", false},      {"lstrip", false},
                                         {"rstrip", false},          {"single_word", false}};
  }
  files_.emplace_back("vocab.json", vocab + "}");
  files_.emplace_back("merges.txt", merges);
  files_.emplace_back("tokenizer_config.json", json{{"added_tokens_decoder", decoder}}.dump());
}

void GgufTokenizer::add_missing(std::size_t n_tokens) {
  // The transcript follows <asr_text>, which must not vanish from decoded text; writers tell special tokens by their
  // looks.
  for (Added& token : added_) {
    if (token.content == "<asr_text>") token.special = false;
  }
  if (n_tokens <= static_cast<std::size_t>(kPublished.back().id)) return;  // not the published vocabulary
  for (const KnownToken& known : kPublished) {
    const auto same = [&](const Added& token) { return token.id == known.id; };
    if (std::none_of(added_.begin(), added_.end(), same)) {
      added_.push_back({known.id, std::string(known.content), known.special});
    }
  }
}

std::optional<int> GgufTokenizer::id_of(std::string_view added_token) const {
  for (const Added& token : added_) {
    if (token.content == added_token) return token.id;
  }
  return {};
}

std::vector<int> GgufTokenizer::end_ids() const {
  std::vector<int> ids;
  for (const std::optional<int>& id : {id_of("<|endoftext|>"), id_of("<|im_end|>"), eos_}) {
    if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace qasr
