// See vocabulary.h. Linear probing; a slot keeps 32 bits of the hash, so that other entries' bytes are hardly touched.
#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "base/check.h"

namespace qasr {
namespace {

std::uint32_t hash_bytes(std::string_view bytes) noexcept {
  const std::uint64_t hash = std::hash<std::string_view>{}(bytes);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

void Vocabulary::reserve(std::size_t n_entries, std::size_t n_bytes) {
  entries_.reserve(n_entries);
  text_.reserve(n_bytes);
  if (slots_.size() < 2 * n_entries) rehash(std::bit_ceil(2 * n_entries));
}

Vocabulary::AddResult Vocabulary::add(std::int32_t id, std::string_view content) {
  QASR_CHECK(id >= 0 && id < kMaxTokenId);
  QASR_CHECK(text_.size() + content.size() < kAbsent);
  if (contains(id)) return AddResult::kIdTaken;
  if (slots_.size() < 2 * (n_entries_ + 1)) rehash(std::max<std::size_t>(512, 2 * slots_.size()));
  const std::uint32_t hash = hash_bytes(content);
  Slot& slot = slots_[find_slot(content, hash)];
  if (slot.id != kNoId) return AddResult::kContentTaken;
  slot = {hash, id};
  ++n_entries_;

  const auto index = static_cast<std::size_t>(id);
  if (index >= entries_.size()) entries_.resize(index + 1);
  entries_[index] = {static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(content.size())};
  text_.append(content);
  return AddResult::kAdded;
}

bool Vocabulary::contains(std::int32_t id) const noexcept {
  return id >= 0 && id < size() && entries_[static_cast<std::size_t>(id)].offset != kAbsent;
}

std::string_view Vocabulary::bytes(std::int32_t id) const noexcept {
  if (!contains(id)) return {};
  const Entry& entry = entries_[static_cast<std::size_t>(id)];
  return std::string_view(text_).substr(entry.offset, entry.n_bytes);
}

std::int32_t Vocabulary::find(std::string_view wanted) const noexcept {
  return slots_.empty() ? kNoId : slots_[find_slot(wanted, hash_bytes(wanted))].id;
}

// Index of the slot of `wanted`, or of the empty one where it belongs.
std::size_t Vocabulary::find_slot(std::string_view wanted, std::uint32_t hash) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id == kNoId || (slot.hash == hash && bytes(slot.id) == wanted)) return at;
  }
}

void Vocabulary::rehash(std::size_t n_slots) {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(n_slots));
  const std::size_t mask = n_slots - 1;
  for (const Slot& slot : old) {
    if (slot.id == kNoId) continue;
    std::size_t at = slot.hash & mask;
    while (slots_[at].id != kNoId) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace qasr
