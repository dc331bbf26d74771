// See added_token_files.h. Flags other than those of AddedTokenEntry are refused, since nothing here would honour them.
#include "text/added_token_files.h"

#include <exception>
#include <set>
#include <utility>

#include "text/tokenizer_json.h"

namespace qasr {
namespace {

using nlohmann::json;

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

json read_tokenizer_config(const TokenizerFiles& files) {
  if (files.tokenizer_config_json.empty()) return json::object();
  json config = parse_small_json(files.tokenizer_config_json, kTokenizerConfigJson, files.where);
  if (!config.is_object()) fail_tokenizer_file(kTokenizerConfigJson, excerpt(config), "an object", files.where);
  if (field(config, "add_prefix_space") == json(true)) {
    fail_tokenizer_file(kTokenizerConfigJson, "add_prefix_space true", "false", files.where);
  }
  return config;
}

}  // namespace

void read_added_tokens(const json& list, const std::string& where, AddedTokenMap& tokens) {
  for (const json& value : list) {
    const json& id = field(value, "id");
    if (!id.is_number_integer()) {
      fail_tokenizer_file(kTokenizerJson, "added token " + excerpt(value), "an object with an integer \"id\"", where);
    }
    put_added_token(tokens, parse_added_token(value, id.get<std::int64_t>(), kTokenizerJson, where), true,
                    kTokenizerJson, where);
  }
}

void read_added_token_files(const TokenizerFiles& files, AddedTokenMap& tokens) {
  const json config = read_tokenizer_config(files);
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

}  // namespace qasr
