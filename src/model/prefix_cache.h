// Prompts begin alike: system turn, context, the opening of the user turn. Their keys and values are computed once and
// shared by all sequences with the same beginning: full pages are held in common, the rest of a page is copied where
// the backend can, else computed again with the audio.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/kv_cache.h"
#include "model/text_decoder.h"

namespace qasr {

class PrefixCache {
 public:
  /// @param max_prefixes  kept at most; the one used longest ago goes first
  PrefixCache(Backend& backend, KvPool& pool, std::size_t max_prefixes);

  /// Computes up to max_rows positions of the prefix if it is not complete yet.
  /// @return true when it is complete, or when nothing would be gained: sequences can begin
  /// @throws Error kOutOfMemory  no pages for it; nothing changed
  bool prepare(const TextDecoder& decoder, std::span<const std::int32_t> prefix, std::int64_t max_rows,
               DecoderWorkspace& workspace);

  /// Gives an empty sequence, whose pages are reserved, what is kept of the prefix; its length tells how much that is.
  void begin(std::span<const std::int32_t> prefix, KvSequence& sequence);

  bool empty() const { return entries_.empty(); }
  /// Forgets all prefixes. Sequences that began with one keep what they share.
  void drop_all() { entries_.clear(); }

 private:
  struct Entry {
    std::vector<std::int32_t> ids;
    KvSequence sequence;
  };
  Entry* find(std::span<const std::int32_t> prefix);
  bool is_worth_keeping(std::size_t n_ids) const;

  Backend& backend_;
  KvPool& pool_;
  std::size_t max_prefixes_;
  std::list<Entry> entries_;  // used last: first
};

}  // namespace qasr
