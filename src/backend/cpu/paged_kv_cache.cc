#include "backend/cpu/paged_kv_cache.h"

#include <algorithm>
#include <cstring>

namespace qasr::cpu {
namespace {

constexpr std::size_t kRun = 32;  // elements rounded at a time, by vector instructions

void round_run(const float* from, std::size_t n, std::uint16_t* to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = to_bf16(from[i]).bits;
}
void round_run(const float* from, std::size_t n, float* to) { std::copy_n(from, n, to); }

// One column of a panel: element d goes to column[d * width].
template <typename T>
void put_column(const float* key, std::size_t n, std::size_t width, T* column) {
  for (std::size_t begin = 0; begin < n; begin += kRun) {
    T rounded[kRun];
    const std::size_t count = std::min(kRun, n - begin);
    round_run(key + begin, count, rounded);
    for (std::size_t i = 0; i < count; ++i) column[(begin + i) * width] = rounded[i];
  }
}

// One column of a panel of pairs: elements d and d + 1, d even, go to column[d / 2 * width] together.
void put_column_of_pairs(const float* key, std::size_t n, std::size_t width, std::uint32_t* column) {
  for (std::size_t begin = 0; begin < n; begin += kRun) {
    std::uint16_t rounded[kRun];
    const std::size_t count = std::min(kRun, n - begin);
    round_run(key + begin, count, rounded);
    for (std::size_t i = 0; i < count; i += 2) std::memcpy(column + (begin + i) / 2 * width, rounded + i, 4);
  }
}

}  // namespace

PagedKvCache::PagedKvCache(const KvCacheShape& shape, const isa::KernelTable& isa)
    : KvCache(shape), width_(isa.panel_width), lanes_(isa.lanes) {
  QASR_CHECK(shape.n_layers > 0 && shape.n_kv_heads > 0 && shape.head_dim > 0 && shape.page_tokens > 0);
  QASR_CHECK(isa::kBf16PairHalves * lanes_ <= kRun && shape.n_pages >= 0 &&
             (shape.dtype == DType::kF32 || shape.dtype == DType::kBf16));
  head_dim_ = static_cast<std::size_t>(shape.head_dim);
  page_tokens_ = static_cast<std::size_t>(shape.page_tokens);
  key_panels_ = ceil_div(page_tokens_, width_);
  value_panels_ = ceil_div(head_dim_, width_);
  key_elements_ = key_panels_ * width_ * head_dim_;
  value_elements_ = value_panels_ * width_ * round_up(page_tokens_, 2);  // whole pairs
  element_bytes_ = dtype_bytes(shape.dtype);
  in_pairs_ = shape.dtype == DType::kBf16 && isa.pairs.product != nullptr && head_dim_ % 2 == 0;
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
  return {
      at(layer, page, kv_head), shape().dtype == DType::kBf16, key_panels_, head_dim_, head_dim_ * width_, in_pairs_};
}

isa::Panels PagedKvCache::values(int layer, std::int32_t page, std::size_t kv_head, std::size_t n_positions) const {
  return {at(layer, page, kv_head) + key_elements_ * element_bytes_,
          shape().dtype == DType::kBf16,
          value_panels_,
          n_positions,
          round_up(page_tokens_, 2) * width_,
          in_pairs_};
}

void PagedKvCache::put_key(int layer, std::int32_t page, std::size_t kv_head, std::size_t slot,
                           const float* key) noexcept {
  std::byte* memory = at(layer, page, kv_head);
  const std::size_t panel = slot / width_ * width_ * head_dim_;
  if (in_pairs_) {
    std::uint16_t* column = reinterpret_cast<std::uint16_t*>(memory) + panel + slot % width_ * 2;
    put_column_of_pairs(key, head_dim_, width_, reinterpret_cast<std::uint32_t*>(column));
  } else if (shape().dtype == DType::kBf16) {
    const std::size_t column = isa::bf16_slot(slot % width_, lanes_);
    put_column(key, head_dim_, width_, reinterpret_cast<std::uint16_t*>(memory) + panel + column);
  } else {
    put_column(key, head_dim_, width_, reinterpret_cast<float*>(memory) + panel + slot % width_);
  }
}

void PagedKvCache::put_value(int layer, std::int32_t page, std::size_t kv_head, std::size_t slot, const float* value,
                             bool is_last) noexcept {
  std::byte* values = at(layer, page, kv_head) + key_elements_ * element_bytes_;
  if (in_pairs_) return put_value_in_pairs(slot, value, is_last, reinterpret_cast<std::uint16_t*>(values));
  std::byte* memory = values + slot * width_ * element_bytes_;
  const std::size_t pair = isa::kBf16PairHalves * lanes_;  // bf16 lie interleaved within so many features
  for (std::size_t begin = 0; begin < head_dim_; begin += pair) {
    const std::size_t count = std::min(pair, head_dim_ - begin);
    const std::size_t at = begin / width_ * width_ * round_up(page_tokens_, 2) + begin % width_;
    if (shape().dtype == DType::kF32) {
      std::copy_n(value + begin, count, reinterpret_cast<float*>(memory) + at);
      continue;
    }
    std::uint16_t rounded[kRun], *to = reinterpret_cast<std::uint16_t*>(memory) + at;
    round_run(value + begin, count, rounded);
    for (std::size_t i = 0; i < count; ++i) to[i < lanes_ ? 2 * i : 2 * (i - lanes_) + 1] = rounded[i];
  }
}

// The slot behind the last position, of the sequence or of the page, shares its pairs and must be finite: it may hold
// what a sequence left that had this page before.
void PagedKvCache::put_value_in_pairs(std::size_t slot, const float* value, bool is_last,
                                      std::uint16_t* values) const noexcept {
  const bool clears_next = slot % 2 == 0 && (is_last || slot + 1 == page_tokens_);
  for (std::size_t begin = 0; begin < head_dim_; begin += width_) {
    std::uint16_t* to = values + begin * round_up(page_tokens_, 2) + slot / 2 * 2 * width_;
    const std::size_t columns = std::min(width_, head_dim_ - begin);
    for (std::size_t done = 0; done < columns; done += kRun) {
      std::uint16_t rounded[kRun];
      const std::size_t count = std::min(kRun, columns - done);
      round_run(value + begin + done, count, rounded);
      for (std::size_t i = 0; i < count; ++i) {
        to[(done + i) * 2 + slot % 2] = rounded[i];
        if (clears_next) to[(done + i) * 2 + 1] = 0;
      }
    }
  }
}

void PagedKvCache::copy_page(std::int32_t from, std::int32_t to) noexcept {
  const std::size_t bytes =
      static_cast<std::size_t>(shape().n_kv_heads) * (key_elements_ + value_elements_) * element_bytes_;
  for (int layer = 0; layer < shape().n_layers; ++layer) std::copy_n(at(layer, from, 0), bytes, at(layer, to, 0));
}

}  // namespace qasr::cpu
