// The files of a tokenizer -> vocabulary, merges and added tokens, checked against one another.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "text/bpe.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace qasr {

struct TokenizerData {
  Vocabulary vocabulary;  // added tokens included
  std::array<std::int32_t, 256> byte_ids{};
  std::vector<Merge> merges;                        // by rank
  std::vector<AddedToken> added_tokens;             // found in text as it is given
  std::vector<AddedToken> normalized_added_tokens;  // found in text after normalisation
  bool nfc = true;
};

/// @throws Error kModel
TokenizerData read_tokenizer_files(const TokenizerFiles& files);

}  // namespace qasr
