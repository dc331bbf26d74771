#include "model/kv_cache.h"

#include <algorithm>
#include <string>
#include <utility>

namespace qasr {

DType kv_cache_dtype(KvCacheFormat format, WeightFormat weights) {
  if (format == KvCacheFormat::kFp8) return DType::kF8E4M3;
  const bool exact = format == KvCacheFormat::kF32 || (format == KvCacheFormat::kAuto && weights == WeightFormat::kF32);
  return exact ? DType::kF32 : DType::kBf16;
}

KvPool::KvPool(Backend& backend, const TextDecoderConfig& config, std::int64_t n_positions, DType dtype)
    : n_pages_(pages_for(n_positions)) {
  cache_ = backend.make_kv_cache({.n_layers = config.n_layers,
                                  .n_kv_heads = config.n_kv_heads,
                                  .head_dim = config.head_dim,
                                  .page_tokens = kPageTokens,
                                  .n_pages = n_pages_,
                                  .dtype = dtype});
  n_owners_.assign(static_cast<std::size_t>(n_pages_), 0);
  for (int page = n_pages_ - 1; page >= 0; --page) free_.push_back(page);  // low numbers are handed out first
}

std::size_t KvPool::bytes_per_position(const TextDecoderConfig& config, DType dtype) {
  return 2 * static_cast<std::size_t>(config.n_layers) * static_cast<std::size_t>(config.n_kv_heads) *
         static_cast<std::size_t>(config.head_dim) * dtype_bytes(dtype);
}

void KvPool::release(std::int32_t page) {
  if (--n_owners_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

KvSequence::~KvSequence() {
  for (auto page = pages_.rbegin(); page != pages_.rend(); ++page) pool_->release(*page);
}

KvSequence::KvSequence(KvSequence&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      pages_(std::move(other.pages_)),
      length_(std::exchange(other.length_, 0)) {}

KvSequence& KvSequence::operator=(KvSequence&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(pages_, other.pages_);
  std::swap(length_, other.length_);
  return *this;
}

void KvSequence::reserve(int n_positions) {
  const std::size_t needed = static_cast<std::size_t>(KvPool::pages_for(n_positions));
  if (needed <= pages_.size()) return;
  const std::size_t missing = needed - pages_.size();
  std::vector<std::int32_t>& free = pool_->free_;
  if (missing > free.size()) {
    throw Error(ErrorCode::kOutOfMemory, "KV cache: " + std::to_string(n_positions) + " positions need " +
                                             std::to_string(missing) + " more pages, " + std::to_string(free.size()) +
                                             " of " + std::to_string(pool_->n_pages_) + " are free");
  }
  pages_.insert(pages_.end(), free.rbegin(), free.rbegin() + static_cast<std::ptrdiff_t>(missing));
  for (std::size_t index = pages_.size() - missing; index < pages_.size(); ++index) {
    ++pool_->n_owners_[static_cast<std::size_t>(pages_[index])];
  }
  free.resize(free.size() - missing);
}

void KvSequence::share_pages(std::span<const std::int32_t> pages) {
  QASR_CHECK(length_ == 0);
  pages_.resize(std::max(pages_.size(), pages.size()), -1);
  for (std::size_t index = 0; index < pages.size(); ++index) {
    ++pool_->n_owners_[static_cast<std::size_t>(pages[index])];
    if (pages_[index] >= 0) pool_->release(pages_[index]);
    pages_[index] = pages[index];
  }
  length_ = static_cast<int>(pages.size()) * KvPool::kPageTokens;
}

void KvSequence::truncate(int n_positions) {
  QASR_CHECK(n_positions >= 0 && n_positions <= length_);
  length_ = n_positions;
}

void KvSequence::shrink(int n_positions) {
  truncate(n_positions);
  for (const auto n_kept = static_cast<std::size_t>(KvPool::pages_for(length_)); pages_.size() > n_kept;) {
    pool_->release(pages_.back());
    pages_.pop_back();
  }
}

int KvSequence::capacity() const { return static_cast<int>(pages_.size()) * KvPool::kPageTokens; }

}  // namespace qasr
