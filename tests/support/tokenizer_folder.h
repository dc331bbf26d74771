// The tokenizer files of a directory, read into memory. For tests.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "text/tokenizer.h"

namespace qasr {

struct TokenizerFolder {
  std::string path, vocab_json, merges_txt, tokenizer_config_json;

  explicit TokenizerFolder(const std::string& folder)
      : path(folder),
        vocab_json(read("vocab.json")),
        merges_txt(read("merges.txt")),
        tokenizer_config_json(read("tokenizer_config.json")) {}

  /// Views of this object.
  TokenizerFiles files() const {
    TokenizerFiles out;
    out.vocab_json = vocab_json;
    out.merges_txt = merges_txt;
    out.tokenizer_config_json = tokenizer_config_json;
    out.where = path;
    return out;
  }

 private:
  std::string read(const char* name) const {
    std::ifstream file(path + "/" + name, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

/// The Qwen3 vocabulary, which the build target qwen3_tokenizer_files unpacks.
inline TokenizerFolder qwen3_tokenizer_folder() { return TokenizerFolder(QASR_BINARY_DIR "/qwen3-tokenizer"); }

}  // namespace qasr
