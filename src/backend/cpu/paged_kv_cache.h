// The CPU backend's KV cache. A page of one layer and KV head holds its keys as a panel matrix whose features are
// positions and whose depth is head_dim, and its values as one whose features are head_dim and whose depth is positions
// (isa/kernel_table.h): so scores and weighted sums are the ordinary products of panels, without copying. A bf16 cache
// is in pairs where the instruction set has products of them.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "base/aligned_buffer.h"

namespace qasr::cpu {

class PagedKvCache final : public KvCache {
 public:
  PagedKvCache(const KvCacheShape& shape, const isa::KernelTable& isa);

  bool in_pairs() const { return in_pairs_; }
  /// Keys of a page: [page_tokens, head_dim] in panels of positions.
  isa::Panels keys(int layer, std::int32_t page, std::size_t kv_head) const;
  /// Values of the first n_positions of a page: [head_dim, n_positions] in panels of head_dim.
  isa::Panels values(int layer, std::int32_t page, std::size_t kv_head, std::size_t n_positions) const;
  /// Fill position `slot` of a page, rounded to the cache's dtype.
  ///   key, value  [head_dim]    is_last  no later position of the sequence is in the cache
  void put_key(int layer, std::int32_t page, std::size_t kv_head, std::size_t slot, const float* key) noexcept;
  void put_value(int layer, std::int32_t page, std::size_t kv_head, std::size_t slot, const float* value,
                 bool is_last) noexcept;

  /// Page `to` becomes a copy of page `from` in all layers.
  void copy_page(std::int32_t from, std::int32_t to) noexcept;

 private:
  std::byte* at(int layer, std::int32_t page, std::size_t kv_head) const;
  void put_value_in_pairs(std::size_t slot, const float* value, bool is_last, std::uint16_t* values) const noexcept;

  std::size_t width_, lanes_, head_dim_, page_tokens_;
  std::size_t key_panels_, value_panels_;
  std::size_t key_elements_, value_elements_;  // of one page, layer and KV head, padding included
  std::size_t element_bytes_;
  bool in_pairs_;
  AlignedBuffer memory_;  // [layer][page][kv_head][keys, values]; untouched pages cost no physical memory
};

}  // namespace qasr::cpu
