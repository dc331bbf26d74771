// See tokenizer_files.h. vocab.json + merges.txt are preferred (the official layout has nothing else); tokenizer.json
// is read when one of them is missing, and must describe the tokenizer implemented here.
#include "text/tokenizer_files.h"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "text/byte_level.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_json.h"

namespace qasr {
namespace {

using nlohmann::json;

constexpr const char* kTokenizerJson = "tokenizer.json";
constexpr const char* kVocabJson = "vocab.json";
constexpr const char* kMergesTxt = "merges.txt";
constexpr const char* kTokenizerConfigJson = "tokenizer_config.json";
constexpr const char* kAddedTokensJson = "added_tokens.json";

struct AddedTokenEntry {
  AddedToken token;
  bool normalized = false;
};
using AddedTokenMap = std::map<std::int32_t, AddedTokenEntry>;

// parent[key], null if the parent is no object or has no such key.
const json& field(const json& parent, const char* key) {
  static const json kNull;
  if (!parent.is_object()) return kNull;
  const auto found = parent.find(key);
  return found == parent.end() ? kNull : *found;
}

// ---- vocabulary and merges ----

std::int32_t checked_id(std::int64_t id, std::string_view content, const std::string& file, const std::string& where) {
  if (id >= 0 && id < kMaxTokenId) return static_cast<std::int32_t>(id);
  fail_tokenizer_file(file, "id " + std::to_string(id) + " for " + in_quotes(content),
                      "0 to " + std::to_string(kMaxTokenId - 1), where);
}

void add_entry(Vocabulary& vocabulary, std::int32_t id, std::string_view bytes, const std::string& file,
               const std::string& where) {
  switch (vocabulary.add(id, bytes)) {
    case Vocabulary::AddResult::kAdded:
      return;
    case Vocabulary::AddResult::kIdTaken:
      fail_tokenizer_file(
          file,
          "id " + std::to_string(id) + " for both " + in_quotes(vocabulary.bytes(id)) + " and " + in_quotes(bytes),
          "ids that differ", where);
    case Vocabulary::AddResult::kContentTaken:
      fail_tokenizer_file(file,
                          "ids " + std::to_string(vocabulary.find(bytes)) + " and " + std::to_string(id) +
                              " for the same token " + in_quotes(bytes),
                          "tokens that differ", where);
  }
}

void add_vocabulary(const VocabularyText& text, const std::string& file, const std::string& where,
                    TokenizerData& data) {
  data.vocabulary.reserve(text.contents.size(), text.contents.n_bytes());
  std::string bytes;
  for (std::size_t entry = 0; entry < text.contents.size(); ++entry) {
    const std::string_view content = text.contents[entry];
    bytes.clear();
    // Entries outside the alphabet are literal text that no merge produces (added tokens listed in the vocabulary).
    if (!append_byte_level(content, bytes)) bytes = content;
    add_entry(data.vocabulary, checked_id(text.ids[entry], content, file, where), bytes, file, where);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto character = static_cast<unsigned char>(byte);
    const std::int32_t id = data.vocabulary.find(std::string(1, static_cast<char>(character)));
    if (id < 0) {
      fail_tokenizer_file(
          file, "no entry " + in_quotes(byte_level_character(character)) + " for byte " + std::to_string(byte),
          "an entry for each of the 256 bytes", where);
    }
    data.byte_ids[character] = id;
  }
}

void add_merges(const MergesText& text, const std::string& file, const std::string& where, TokenizerData& data) {
  const std::size_t n_merges = text.parts.size() / 2;
  data.merges.reserve(n_merges);
  std::string bytes;  // of the left part, followed by those of the right one
  for (std::size_t rank = 0; rank < n_merges; ++rank) {
    const std::string_view left = text.parts[2 * rank], right = text.parts[2 * rank + 1];
    bytes.clear();
    const bool left_known = append_byte_level(left, bytes);
    const std::size_t left_bytes = bytes.size();
    const bool right_known = append_byte_level(right, bytes);
    const std::string_view both = bytes;
    const Merge merge = {left_known ? data.vocabulary.find(both.substr(0, left_bytes)) : -1,
                         right_known ? data.vocabulary.find(both.substr(left_bytes)) : -1,
                         left_known && right_known ? data.vocabulary.find(both) : -1};
    const auto check = [&](std::int32_t id, const std::string& token) {
      if (id >= 0) return;
      fail_tokenizer_file(file,
                          "merge " + std::to_string(rank) + " " +
                              in_quotes(std::string(left) + " " + std::string(right)) + ", whose " + in_quotes(token) +
                              " is not in the vocabulary",
                          "merges of known tokens", where);
    };
    check(merge.left, std::string(left));
    check(merge.right, std::string(right));
    check(merge.result, std::string(left) + std::string(right));
    data.merges.push_back(merge);
  }
}

// ---- added tokens ----

// A later source may change the flags of a token, never its id or content. `has_flags` is false for added_tokens.json,
// whose flags are guesses.
void put_added_token(AddedTokenMap& tokens, AddedTokenEntry entry, bool has_flags, const std::string& file,
                     const std::string& where) {
  const AddedToken& token = entry.token;
  if (token.content.empty()) {
    fail_tokenizer_file(file, "an empty added token with id " + std::to_string(token.id), "some text", where);
  }
  const auto found = tokens.find(token.id);
  if (found != tokens.end() && found->second.token.content != token.content) {
    fail_tokenizer_file(file,
                        "id " + std::to_string(token.id) + " for both " + in_quotes(found->second.token.content) +
                            " and " + in_quotes(token.content),
                        "ids that differ", where);
  }
  if (has_flags || found == tokens.end()) tokens.insert_or_assign(token.id, std::move(entry));
}

// One entry of "added_tokens" (tokenizer.json) or of "added_tokens_decoder" (tokenizer_config.json).
AddedTokenEntry parse_added_token(const json& value, std::int64_t id, const std::string& file,
                                  const std::string& where) {
  const json& content = field(value, "content");
  if (!content.is_string()) {
    fail_tokenizer_file(file, excerpt(value) + " for added token " + std::to_string(id), "an object with \"content\"",
                        where);
  }
  const std::string& text = content.get_ref<const std::string&>();
  for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
    if (field(value, flag) == json(true)) {
      fail_tokenizer_file(file, std::string(flag) + " for added token " + in_quotes(text),
                          "added tokens that match literally", where);
    }
  }
  return {{checked_id(id, text, file, where), text, field(value, "special") == json(true)},
          field(value, "normalized") == json(true)};
}

std::int64_t parse_id(const std::string& text, const std::string& file, const std::string& where) {
  std::size_t n_used = 0;
  std::int64_t id = -1;
  try {
    id = std::stoll(text, &n_used);
  } catch (const std::exception&) {
    n_used = std::string::npos;
  }
  if (n_used != text.size()) fail_tokenizer_file(file, "added token id " + in_quotes(text), "a number", where);
  return id;
}

// Contents that tokenizer_config.json names as the end, padding, ... token: those are special even if only
// added_tokens.json, which has no flags, gives their ids.
std::set<std::string> special_contents(const json& config) {
  std::set<std::string> contents;
  const auto insert = [&contents](const json& token) {
    const json& text = token.is_object() ? field(token, "content") : token;
    if (text.is_string()) contents.insert(text.get<std::string>());
  };
  for (const char* key :
       {"bos_token", "eos_token", "pad_token", "unk_token", "audio_token", "audio_bos_token", "audio_eos_token"}) {
    insert(field(config, key));
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const json& list = field(config, key);
    if (list.is_array()) {
      for (const json& token : list) insert(token);
    }
  }
  return contents;
}

void read_added_tokens_json(const TokenizerFiles& files, const std::set<std::string>& special, AddedTokenMap& tokens) {
  if (files.added_tokens_json.empty()) return;
  const json document = parse_small_json(files.added_tokens_json, kAddedTokensJson, files.where);
  if (!document.is_object()) {
    fail_tokenizer_file(kAddedTokensJson, excerpt(document), "an object of tokens and ids", files.where);
  }
  for (const auto& [content, id] : document.items()) {
    if (!id.is_number_integer()) {
      fail_tokenizer_file(kAddedTokensJson, excerpt(id) + " for " + in_quotes(content), "an integer id", files.where);
    }
    const std::int32_t checked = checked_id(id.get<std::int64_t>(), content, kAddedTokensJson, files.where);
    put_added_token(tokens, {{checked, content, special.contains(content)}, false}, false, kAddedTokensJson,
                    files.where);
  }
}

void read_side_files(const TokenizerFiles& files, AddedTokenMap& tokens) {
  json config;
  if (!files.tokenizer_config_json.empty()) {
    config = parse_small_json(files.tokenizer_config_json, kTokenizerConfigJson, files.where);
    if (!config.is_object()) {
      fail_tokenizer_file(kTokenizerConfigJson, excerpt(config), "an object", files.where);
    }
  }
  if (field(config, "add_prefix_space") == json(true)) {
    fail_tokenizer_file(kTokenizerConfigJson, "add_prefix_space true", "false", files.where);
  }
  read_added_tokens_json(files, special_contents(config), tokens);
  const json& decoder = field(config, "added_tokens_decoder");
  if (!decoder.is_object() && !decoder.is_null()) {
    fail_tokenizer_file(kTokenizerConfigJson, "added_tokens_decoder " + excerpt(decoder), "an object", files.where);
  }
  for (const auto& [id, value] : decoder.items()) {
    const std::int64_t number = parse_id(id, kTokenizerConfigJson, files.where);
    put_added_token(tokens, parse_added_token(value, number, kTokenizerConfigJson, files.where), true,
                    kTokenizerConfigJson, files.where);
  }
}

void add_added_tokens(const AddedTokenMap& tokens, const std::string& file, const std::string& where,
                      TokenizerData& data) {
  for (const auto& [id, entry] : tokens) {
    // An entry of the vocabulary may be an added token as well.
    if (data.vocabulary.find(entry.token.content) != id) {
      add_entry(data.vocabulary, id, entry.token.content, file, where);
    }
    (entry.normalized ? data.normalized_added_tokens : data.added_tokens).push_back(entry.token);
  }
}

// ---- tokenizer.json: settings other than ours are refused, never ignored ----

void require(const json& found, std::initializer_list<json> allowed, const char* name, const std::string& where) {
  std::string expected;
  for (const json& value : allowed) {
    if (found == value) return;
    expected += (expected.empty() ? "" : " or ") + value.dump();
  }
  fail_tokenizer_file(kTokenizerJson, std::string(name) + " " + excerpt(found), expected, where);
}

// true: NFC, false: none.
bool read_normalizer(const json& normalizer, const std::string& where) {
  if (normalizer.is_null()) return false;
  const json& list = field(normalizer, "normalizers");
  if (field(normalizer, "type") == json("Sequence") && list.is_array() && list.size() <= 1) {
    return !list.empty() && read_normalizer(list[0], where);
  }
  require(field(normalizer, "type"), {"NFC"}, "normalizer", where);
  return true;
}

void check_pre_tokenizer(const json& pre_tokenizer, const std::string& where) {
  require(field(pre_tokenizer, "type"), {"Sequence"}, "pre_tokenizer type", where);
  const json& steps = field(pre_tokenizer, "pretokenizers");
  require(steps.size(), {2}, "number of pre_tokenizer steps", where);
  const json& split = steps.is_array() ? steps[0] : steps;
  require(field(split, "type"), {"Split"}, "first pre_tokenizer step", where);
  require(field(field(split, "pattern"), "Regex"), {json(std::string(kPreTokenizerRegex))}, "Split pattern", where);
  require(field(split, "behavior"), {"Isolated"}, "Split behavior", where);
  require(field(split, "invert"), {false, nullptr}, "Split invert", where);
  require(field(steps[1], "type"), {"ByteLevel"}, "second pre_tokenizer step", where);
  require(field(steps[1], "add_prefix_space"), {false}, "ByteLevel add_prefix_space", where);
  require(field(steps[1], "use_regex"), {false}, "ByteLevel use_regex", where);
}

void check_model(const json& model, const std::string& where) {
  require(field(model, "type"), {"BPE", nullptr}, "model type", where);
  require(field(model, "dropout"), {nullptr, 0.0}, "model dropout", where);
  for (const char* key : {"unk_token", "continuing_subword_prefix", "end_of_word_suffix"}) {
    require(field(model, key), {nullptr, ""}, key, where);
  }
  for (const char* key : {"byte_fallback", "ignore_merges"}) require(field(model, key), {nullptr, false}, key, where);
}

TokenizerData from_tokenizer_json(const TokenizerFiles& files) {
  const TokenizerJson parsed = parse_tokenizer_json(files.tokenizer_json, kTokenizerJson, files.where);
  const json& settings = parsed.settings;
  check_model(field(settings, "model"), files.where);
  check_pre_tokenizer(field(settings, "pre_tokenizer"), files.where);
  require(field(field(settings, "decoder"), "type"), {"ByteLevel"}, "decoder type", files.where);
  require(field(field(settings, "post_processor"), "type"), {nullptr, "ByteLevel"}, "post_processor type", files.where);

  if (!parsed.has_merges) fail_tokenizer_file(kTokenizerJson, "no list model.merges", "merges", files.where);

  TokenizerData data;
  data.nfc = read_normalizer(field(settings, "normalizer"), files.where);
  add_vocabulary(parsed.vocabulary, kTokenizerJson, files.where, data);
  add_merges(parsed.merges, kTokenizerJson, files.where, data);

  AddedTokenMap tokens;
  for (const json& value : field(settings, "added_tokens")) {
    const json& id = field(value, "id");
    if (!id.is_number_integer()) {
      fail_tokenizer_file(kTokenizerJson, "added token " + excerpt(value), "an object with an integer \"id\"",
                          files.where);
    }
    put_added_token(tokens, parse_added_token(value, id.get<std::int64_t>(), kTokenizerJson, files.where), true,
                    kTokenizerJson, files.where);
  }
  read_side_files(files, tokens);
  add_added_tokens(tokens, kTokenizerJson, files.where, data);
  return data;
}

TokenizerData from_vocab_and_merges(const TokenizerFiles& files) {
  const std::string missing = "nothing (no such file, or an empty one)";
  if (files.vocab_json.empty()) {
    fail_tokenizer_file(kVocabJson, missing, "a vocabulary here or in tokenizer.json", files.where);
  }
  if (files.merges_txt.empty()) {
    fail_tokenizer_file(kMergesTxt, missing, "merges here or in tokenizer.json", files.where);
  }
  TokenizerData data;
  add_vocabulary(parse_vocab_json(files.vocab_json, kVocabJson, files.where), kVocabJson, files.where, data);
  add_merges(parse_merges_txt(files.merges_txt, kMergesTxt, files.where), kMergesTxt, files.where, data);
  AddedTokenMap tokens;
  read_side_files(files, tokens);
  add_added_tokens(tokens, files.tokenizer_config_json.empty() ? kAddedTokensJson : kTokenizerConfigJson, files.where,
                   data);
  return data;
}

}  // namespace

TokenizerData read_tokenizer_files(const TokenizerFiles& files) {
  const bool has_both = !files.vocab_json.empty() && !files.merges_txt.empty();
  return !has_both && !files.tokenizer_json.empty() ? from_tokenizer_json(files) : from_vocab_and_merges(files);
}

}  // namespace qasr
