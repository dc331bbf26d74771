#include "backend/cpu/paged_kv_cache.h"

#include <algorithm>

namespace qasr::cpu {

PagedKvCache::PagedKvCache(const KvCacheShape& shape, const isa::KernelTable& isa)
    : KvCache(shape), width_(isa.panel_width), lanes_(isa.lanes) {
  QASR_CHECK(shape.n_layers > 0 && shape.n_kv_heads > 0 && shape.head_dim > 0 && shape.page_tokens > 0);
  QASR_CHECK(shape.n_pages >= 0 && (shape.dtype == DType::kF32 || shape.dtype == DType::kBf16));
  head_dim_ = static_cast<std::size_t>(shape.head_dim);
  page_tokens_ = static_cast<std::size_t>(shape.page_tokens);
  key_panels_ = ceil_div(page_tokens_, width_);
  value_panels_ = ceil_div(head_dim_, width_);
  key_elements_ = key_panels_ * width_ * head_dim_;
  value_elements_ = value_panels_ * width_ * page_tokens_;
  element_bytes_ = dtype_bytes(shape.dtype);
  const std::size_t heads = static_cast<std::size_t>(shape.n_layers) * static_cast<std::size_t>(shape.n_pages) *
                            static_cast<std::size_t>(shape.n_kv_heads);
  memory_ = AlignedBuffer(heads * (key_elements_ + value_elements_) * element_bytes_);
}

std::byte* PagedKvCache::at(int layer, std::int32_t page, std::size_t kv_head) const {
  const KvCacheShape& s = shape();
  std::size_t index = static_cast<std::size_t>(layer) * static_cast<std::size_t>(s.n_pages);
  index = (index + static_cast<std::size_t>(page)) * static_cast<std::size_t>(s.n_kv_heads) + kv_head;
  return memory_.data() + index * (key_elements_ + value_elements_) * element_bytes_;
}

isa::Panels PagedKvCache::keys(int layer, std::int32_t page, std::size_t kv_head) const {
  return {at(layer, page, kv_head), shape().dtype == DType::kBf16, key_panels_, head_dim_, head_dim_ * width_};
}

isa::Panels PagedKvCache::values(int layer, std::int32_t page, std::size_t kv_head, std::size_t n_positions) const {
  return {at(layer, page, kv_head) + key_elements_ * element_bytes_, shape().dtype == DType::kBf16, value_panels_,
          n_positions, page_tokens_ * width_};
}

template <typename T, typename Round>
void PagedKvCache::append_as(T* memory, std::size_t slot, const float* key, const float* value, Round round) noexcept {
  const auto column = [&](std::size_t feature) {
    return sizeof(T) == sizeof(float) ? feature : isa::bf16_slot(feature, lanes_);
  };
  T* keys = memory + slot / width_ * width_ * head_dim_ + column(slot % width_);
  T* values = memory + key_elements_ + slot * width_;
  for (std::size_t d = 0; d < head_dim_; ++d) {
    keys[d * width_] = round(key[d]);
    values[d / width_ * width_ * page_tokens_ + column(d % width_)] = round(value[d]);
  }
}

void PagedKvCache::append(int layer, std::int32_t page, std::size_t kv_head, std::size_t slot, const float* key,
                          const float* value) noexcept {
  std::byte* memory = at(layer, page, kv_head);
  if (shape().dtype == DType::kBf16) {
    append_as(reinterpret_cast<std::uint16_t*>(memory), slot, key, value, [](float v) { return to_bf16(v).bits; });
  } else {
    append_as(reinterpret_cast<float*>(memory), slot, key, value, [](float v) { return v; });
  }
}

void PagedKvCache::copy_page(std::int32_t from, std::int32_t to) noexcept {
  const std::size_t bytes =
      static_cast<std::size_t>(shape().n_kv_heads) * (key_elements_ + value_elements_) * element_bytes_;
  for (int layer = 0; layer < shape().n_layers; ++layer) std::copy_n(at(layer, from, 0), bytes, at(layer, to, 0));
}

}  // namespace qasr::cpu
