// See tokenizer_files.h. vocab.json + merges.txt are preferred (the official layout has nothing else); tokenizer.json
// is read when one of them is missing, and must describe the tokenizer implemented here.
#include "text/tokenizer_files.h"

#include <string>
#include <string_view>
#include <utility>

#include "text/added_token_files.h"
#include "text/byte_level.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_json.h"

namespace qasr {
namespace {

using nlohmann::json;

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

[[noreturn]] void fail_merge(std::size_t rank, std::string_view left, std::string_view right, const Merge& merge,
                             const std::string& file, const std::string& where) {
  const std::string first(left), second(right);
  const std::string& missing = merge.left < 0 ? first : merge.right < 0 ? second : first + second;
  fail_tokenizer_file(file,
                      "merge " + std::to_string(rank) + " " + in_quotes(first + " " + second) + ", whose " +
                          in_quotes(missing) + " is not in the vocabulary",
                      "merges of known tokens", where);
}

void add_merges(const MergesText& text, const std::string& file, const std::string& where, TokenizerData& data) {
  const Vocabulary& vocabulary = data.vocabulary;
  const std::size_t n_merges = text.parts.size() / 2;
  data.merges.reserve(n_merges);
  std::string bytes;          // of the left part, followed by those of the right one
  std::int32_t expected = 0;  // most vocabularies number the results in the order of their merges
  for (std::size_t rank = 0; rank < n_merges; ++rank) {
    const std::string_view left = text.parts[2 * rank], right = text.parts[2 * rank + 1];
    bytes.clear();
    const bool left_known = append_byte_level(left, bytes);
    const std::size_t n_left = bytes.size();
    const bool right_known = append_byte_level(right, bytes);
    const std::string_view both = bytes;
    const Merge merge = {left_known ? vocabulary.find(both.substr(0, n_left)) : -1,
                         right_known ? vocabulary.find(both.substr(n_left)) : -1,
                         vocabulary.bytes(expected) == both ? expected
                         : left_known && right_known        ? vocabulary.find(both)
                                                            : -1};
    if (merge.left < 0 || merge.right < 0 || merge.result < 0) fail_merge(rank, left, right, merge, file, where);
    expected = merge.result + 1;
    data.merges.push_back(merge);
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

// tokenizer.json: settings other than ours are refused, never ignored.

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
  read_added_tokens(field(settings, "added_tokens"), files.where, tokens);
  read_added_token_files(files, tokens);
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
  read_added_token_files(files, tokens);
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
