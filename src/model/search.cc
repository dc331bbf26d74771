#include "model/search.h"

#include <algorithm>

namespace qasr {

std::vector<SearchResult> greedy_search(const TextDecoder& decoder, std::span<const SearchInput> inputs,
                                        std::span<const int> eos_token_ids, DecoderWorkspace& workspace,
                                        const TokenCallback& on_token) {
  std::vector<SearchResult> results(inputs.size());
  // Running sequences: parallel arrays, compacted when a sequence ends.
  std::vector<std::size_t> running;
  std::vector<KvSequence*> sequences;
  std::vector<std::int32_t> ids;
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    running.push_back(index);
    sequences.push_back(inputs[index].sequence);
    ids.push_back(inputs[index].first_id);
    results[index].ids.reserve(static_cast<std::size_t>(inputs[index].max_tokens));
  }

  while (!running.empty()) {
    std::size_t kept = 0;
    for (std::size_t slot = 0; slot < running.size(); ++slot) {
      const std::size_t index = running[slot];
      const std::int32_t id = ids[slot];
      results[index].ids.push_back(id);
      if (on_token) on_token(index, id);
      if (std::find(eos_token_ids.begin(), eos_token_ids.end(), id) != eos_token_ids.end()) continue;
      if (results[index].ids.size() >= static_cast<std::size_t>(inputs[index].max_tokens)) {
        results[index].truncated = true;
        continue;
      }
      running[kept] = index;
      sequences[kept] = sequences[slot];
      ids[kept++] = id;
    }
    running.resize(kept);
    sequences.resize(kept);
    ids.resize(kept);
    if (kept > 0) decoder.decode_step(sequences, ids, workspace, ids);
  }
  return results;
}

}  // namespace qasr
