// Symbols form a doubly linked list over one array; a binary heap yields the pair of lowest rank, leftmost first. A
// merge changes at most two pairs; their old heap entries stay and are recognised by their rank when they come up.
#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/check.h"

namespace qasr {
namespace {

constexpr std::uint64_t kEmpty = UINT64_MAX;     // no pair of non-negative ids looks like this
constexpr std::uint32_t kNoMerge = UINT32_MAX;   // above every rank
constexpr std::uint32_t kNone = UINT32_MAX;      // index of no symbol
constexpr std::uint32_t kMergedAway = kNoMerge;  // rank of a symbol that is part of its left neighbour now

constexpr std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

// Fibonacci hashing: the high bits of the product depend on all bits of the pair.
constexpr std::size_t hash_pair(std::uint64_t pair, int shift) {
  return static_cast<std::size_t>((pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15u >> shift);
}

}  // namespace

Bpe::Bpe(const std::array<std::int32_t, 256>& byte_ids, std::span<const Merge> merges) : byte_ids_(byte_ids) {
  const std::size_t n_slots = std::bit_ceil(std::max<std::size_t>(2, 2 * merges.size()));
  hash_shift_ = 64 - std::countr_zero(n_slots);
  slots_.assign(n_slots, Slot{kEmpty, kNoMerge, 0});
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    const std::uint64_t pair = pair_of(merge.left, merge.right);
    std::size_t at = hash_pair(pair, hash_shift_);
    while (slots_[at].pair != kEmpty && slots_[at].pair != pair) at = (at + 1) & (n_slots - 1);
    slots_[at] = {pair, static_cast<std::uint32_t>(rank), merge.result};
  }
}

// The slot of the pair; an empty one, whose rank is kNoMerge, if the pair does not merge.
const Bpe::Slot& Bpe::find(std::int32_t left, std::int32_t right) const noexcept {
  const std::uint64_t pair = pair_of(left, right);
  std::size_t at = hash_pair(pair, hash_shift_);
  while (slots_[at].pair != pair && slots_[at].pair != kEmpty) at = (at + 1) & (slots_.size() - 1);
  return slots_[at];
}

// Looks up the merge of symbol `index` with the one after it and queues it.
void Bpe::update_pair(Scratch& scratch, std::uint32_t index) const {
  Scratch::Symbol& symbol = scratch.symbols_[index];
  symbol.rank = kNoMerge;
  if (symbol.next == kNone) return;
  const Slot& slot = find(symbol.id, scratch.symbols_[symbol.next].id);
  if (slot.rank == kNoMerge) return;
  symbol.rank = slot.rank;
  symbol.merged = slot.result;
  scratch.heap_.push_back(static_cast<std::uint64_t>(slot.rank) << 32 | index);
  std::push_heap(scratch.heap_.begin(), scratch.heap_.end(), std::greater<>());
}

void Bpe::merge_with_next(Scratch& scratch, std::uint32_t index) const {
  Scratch::Symbol& symbol = scratch.symbols_[index];
  Scratch::Symbol& absorbed = scratch.symbols_[symbol.next];
  symbol.id = symbol.merged;
  symbol.next = absorbed.next;
  absorbed.rank = kMergedAway;
  if (symbol.next != kNone) scratch.symbols_[symbol.next].previous = index;
  update_pair(scratch, index);
  if (symbol.previous != kNone) update_pair(scratch, symbol.previous);
}

void Bpe::encode(std::string_view bytes, Scratch& scratch, std::vector<std::int32_t>& ids) const {
  if (bytes.empty()) return;
  QASR_CHECK(bytes.size() < kNone);
  const auto n_bytes = static_cast<std::uint32_t>(bytes.size());
  scratch.symbols_.resize(n_bytes);
  scratch.heap_.clear();
  for (std::uint32_t at = 0; at < n_bytes; ++at) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(bytes[at])];
    scratch.symbols_[at] = {id, 0, kNoMerge, at == 0 ? kNone : at - 1, at + 1 == n_bytes ? kNone : at + 1};
  }
  for (std::uint32_t at = 0; at + 1 < n_bytes; ++at) update_pair(scratch, at);

  while (!scratch.heap_.empty()) {
    const std::uint64_t candidate = scratch.heap_.front();
    std::pop_heap(scratch.heap_.begin(), scratch.heap_.end(), std::greater<>());
    scratch.heap_.pop_back();
    const auto index = static_cast<std::uint32_t>(candidate);
    if (scratch.symbols_[index].rank == candidate >> 32) merge_with_next(scratch, index);
  }
  for (std::uint32_t at = 0; at != kNone; at = scratch.symbols_[at].next) ids.push_back(scratch.symbols_[at].id);
}

}  // namespace qasr
