// Byte-pair encoding: bytes of one pre-token -> token ids, by merging the adjacent pair of lowest rank until none is
// left. O(n log n) in the length of the pre-token.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace qasr {

/// Two adjacent tokens that become one.
struct Merge {
  std::int32_t left, right, result;
};

class Bpe {
 public:
  /// Working memory of encode(), kept by the caller from one pre-token to the next.
  class Scratch {
    friend class Bpe;
    struct Symbol {
      std::int32_t id, merged;       // merged: what this and the next symbol become, if rank says they may
      std::uint32_t rank;            // of the merge with the next symbol; kNoMerge if there is none
      std::uint32_t previous, next;  // indices; kNone at the ends
    };
    std::vector<Symbol> symbols_;      // one per byte
    std::vector<std::uint64_t> heap_;  // rank << 32 | index of the left symbol; smallest first, outdated ones included
  };

  Bpe() = default;
  /// @param byte_ids  the token of every single byte
  /// @param merges    by rank; of two equal pairs the later one counts, as in Hugging Face tokenizers
  Bpe(const std::array<std::int32_t, 256>& byte_ids, std::span<const Merge> merges);

  /// Appends the tokens of `bytes` to `ids`.
  void encode(std::string_view bytes, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  struct Slot {
    std::uint64_t pair;  // left << 32 | right; kEmpty
    std::uint32_t rank;
    std::int32_t result;
  };

  const Slot& find(std::int32_t left, std::int32_t right) const noexcept;
  void update_pair(Scratch& scratch, std::uint32_t index) const;
  void merge_with_next(Scratch& scratch, std::uint32_t index) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Slot> slots_;  // open addressing, linear probing; a power of two, at most half full
  int hash_shift_ = 0;       // 64 - log2(slots)
};

}  // namespace qasr
