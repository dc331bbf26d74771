// Control tokens that prompts are made of: found in the tokenizer, with the ids that config.json says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "qasr/error.h"
#include "text/tokenizer.h"

namespace qasr {

/// @param user  who needs it, for the message
/// @throws Error kModel  no such token
inline std::int32_t require_token(const Tokenizer& tokenizer, std::string_view content, const std::string& user,
                                  const std::string& where) {
  const std::int32_t id = tokenizer.token_id(content);
  if (id < 0) {
    throw Error(ErrorCode::kModel,
                "tokenizer: no token " + std::string(content) + ", which " + user + " needs, in " + where);
  }
  return id;
}

/// @throws Error kModel  the tokenizer's id is another than the configuration's
inline void require_id(const std::string& content, std::int32_t id, const std::string& key, int expected,
                       const std::string& where) {
  if (id == expected) return;
  throw Error(ErrorCode::kModel, "tokenizer: " + content + " has id " + std::to_string(id) + ", expected " + key + " " +
                                     std::to_string(expected) + " of config.json in " + where);
}

}  // namespace qasr
