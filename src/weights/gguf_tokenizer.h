// The tokenizer inside a GGUF checkpoint as the files that text/tokenizer.h reads.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weights/gguf.h"

namespace qasr {

class GgufTokenizer {
 public:
  /// From the first file with tokenizer.huggingface.json or tokenizer.ggml.tokens.
  /// @throws Error kModel  none has, another kind of tokenizer than gpt2, token types that do not match the tokens
  explicit GgufTokenizer(const std::vector<GgufFile>& files);

  /// {"vocab.json", text}, {"merges.txt", text}, {"tokenizer_config.json", text}, or {"tokenizer.json", text}.
  const std::vector<std::pair<std::string, std::string>>& files() const { return files_; }
  /// Of a token that text cannot spell.
  std::optional<int> id_of(std::string_view added_token) const;
  /// <|endoftext|>, <|im_end|> and what the metadata names as the end, ascending.
  std::vector<int> end_ids() const;

 private:
  struct Added {
    int id;
    std::string content;
    bool special;
  };
  void read_tokens(const GgufFile& file);
  void add_missing(std::size_t n_tokens);

  std::vector<std::pair<std::string, std::string>> files_;
  std::vector<Added> added_;
  std::optional<int> eos_;
};

}  // namespace qasr
