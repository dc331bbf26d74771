// Greedy search over a batch of sequences that begin together: for benchmarks and tests. The engine chooses tokens in
// engine/batch_decode.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/text_decoder.h"

namespace qasr {

struct SearchInput {
  KvSequence* sequence = nullptr;  ///< prefilled
  std::int32_t first_id = 0;       ///< prefill's choice
  int max_tokens = 0;              ///< at least 1, the end token included
};

struct SearchResult {
  std::vector<std::int32_t> ids;  ///< the end token, if reached, is the last
  bool truncated = false;         ///< max_tokens ended the sequence, not an end token
};

/// Called for every token as soon as it is chosen: index of the sequence, token id.
using TokenCallback = std::function<void(std::size_t sequence, std::int32_t id)>;

/// Takes the most likely token of every sequence until an end token or its max_tokens. Sequences that end leave the
/// batch; the others go on, with the results they would have alone.
std::vector<SearchResult> greedy_search(const TextDecoder& decoder, std::span<const SearchInput> inputs,
                                        std::span<const int> eos_token_ids, DecoderWorkspace& workspace,
                                        const TokenCallback& on_token = {});

}  // namespace qasr
