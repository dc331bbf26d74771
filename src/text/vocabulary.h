// Token ids <-> bytes. All byte strings lie in one buffer; lookup by content is one open-addressing table of ids, so
// that 150,000 entries cost three allocations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qasr {

/// Ids at or above this are taken for damage, not for a vocabulary (Qwen3 has 152,064).
inline constexpr std::int32_t kMaxTokenId = 1 << 22;

class Vocabulary {
 public:
  enum class AddResult { kAdded, kIdTaken, kContentTaken };

  /// Makes room for `n_entries` with `n_bytes` in total; optional.
  void reserve(std::size_t n_entries, std::size_t n_bytes);

  /// @param id  0 <= id < kMaxTokenId
  AddResult add(std::int32_t id, std::string_view content);

  bool contains(std::int32_t id) const noexcept;
  /// Empty for ids without an entry. Valid until the next add().
  std::string_view bytes(std::int32_t id) const noexcept;
  /// -1 if there is no such entry.
  std::int32_t find(std::string_view wanted) const noexcept;

  /// Largest id + 1.
  std::int32_t size() const noexcept { return static_cast<std::int32_t>(entries_.size()); }

 private:
  static constexpr std::int32_t kNoId = -1;
  static constexpr std::uint32_t kAbsent = UINT32_MAX;

  struct Entry {
    std::uint32_t offset = kAbsent;
    std::uint32_t n_bytes = 0;
  };
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t id = kNoId;
  };

  std::size_t find_slot(std::string_view wanted, std::uint32_t hash) const noexcept;
  void rehash(std::size_t n_slots);

  std::string text_;            // all entries, one after another
  std::vector<Entry> entries_;  // [size()], by id
  std::vector<Slot> slots_;     // a power of two, at most half full
  std::size_t n_entries_ = 0;
};

}  // namespace qasr
