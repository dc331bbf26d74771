#include "model/search.h"

#include <algorithm>
#include <cstdint>

namespace qasr {
namespace {

// The sequences that still run: parallel arrays, compacted when one ends.
struct Running {
  std::vector<std::size_t> index;  // into the inputs
  std::vector<KvSequence*> sequences;
  std::vector<std::int32_t> ids;  // chosen last
  void keep(std::size_t from, std::size_t to) {
    index[to] = index[from];
    sequences[to] = sequences[from];
    ids[to] = ids[from];
  }
  void shrink(std::size_t n) {
    index.resize(n);
    sequences.resize(n);
    ids.resize(n);
  }
};

}  // namespace

std::vector<SearchResult> greedy_search(const TextDecoder& decoder, std::span<const SearchInput> inputs,
                                        std::span<const int> eos_token_ids, DecoderWorkspace& workspace,
                                        const TokenCallback& on_token) {
  std::vector<SearchResult> results(inputs.size());
  Running running;
  std::vector<int> first_length;  // positions in the cache before the first id
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    running.index.push_back(index);
    running.sequences.push_back(inputs[index].sequence);
    running.ids.push_back(inputs[index].first_id);
    first_length.push_back(inputs[index].sequence->length());
    results[index].ids.reserve(static_cast<std::size_t>(inputs[index].max_tokens));
  }
  // Takes the ids in; true if a sequence ended. Ended ones ignore the ids of steps that were already under way.
  std::vector<bool> ended(inputs.size());
  const auto accept_ids = [&] {
    bool any_ended = false;
    for (std::size_t slot = 0; slot < running.index.size(); ++slot) {
      const std::size_t index = running.index[slot];
      if (ended[index]) continue;
      SearchResult& result = results[index];
      const std::int32_t id = running.ids[slot];
      result.ids.push_back(id);
      if (on_token) on_token(index, id);
      const bool is_end = std::find(eos_token_ids.begin(), eos_token_ids.end(), id) != eos_token_ids.end();
      result.truncated = !is_end && result.ids.size() >= static_cast<std::size_t>(inputs[index].max_tokens);
      ended[index] = is_end || result.truncated;
      any_ended = any_ended || ended[index];
    }
    return any_ended;
  };
  // Steps that every running sequence may still take.
  const auto steps_left = [&] {
    std::size_t left = SIZE_MAX;
    for (std::size_t index : running.index) {
      left = std::min(left, static_cast<std::size_t>(inputs[index].max_tokens) - results[index].ids.size());
    }
    return left;
  };

  accept_ids();
  for (;;) {
    std::size_t kept = 0;
    for (std::size_t slot = 0; slot < running.index.size(); ++slot) {
      const std::size_t index = running.index[slot];
      if (ended[index]) {  // forgets what steps under way appended after the end
        inputs[index].sequence->truncate(first_length[index] + static_cast<int>(results[index].ids.size()) - 1);
      } else {
        running.keep(slot, kept++);
      }
    }
    running.shrink(kept);
    if (kept == 0) return results;

    // The same sequences until one ends; then the steps under way are read and the rest goes on.
    decoder.start_steps(running.ids, workspace);
    const auto ahead = static_cast<std::size_t>(decoder.run_ahead_steps());
    std::size_t to_enqueue = steps_left(), under_way = 0;
    bool any_ended = false;
    while (under_way > 0 || (!any_ended && to_enqueue > 0)) {
      if (!any_ended && to_enqueue > 0) {
        decoder.enqueue_step(running.sequences, workspace);
        --to_enqueue;
        if (++under_way <= ahead) continue;
      }
      decoder.read_step(workspace, running.ids);
      --under_way;
      any_ended = accept_ids() || any_ended;
    }
  }
}

}  // namespace qasr
