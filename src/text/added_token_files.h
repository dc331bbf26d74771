// Added tokens and their flags, collected from the files that name them.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace qasr {

struct AddedTokenEntry {
  AddedToken token;
  bool normalized = false;  ///< found in text after normalisation instead of before
};
using AddedTokenMap = std::map<std::int32_t, AddedTokenEntry>;  // by id

/// "added_tokens" of tokenizer.json.
void read_added_tokens(const nlohmann::json& list, const std::string& where, AddedTokenMap& tokens);

/// added_tokens.json and tokenizer_config.json, where they are. A later source may change the flags of a token, never
/// its id or content.
void read_added_token_files(const TokenizerFiles& files, AddedTokenMap& tokens);

}  // namespace qasr
