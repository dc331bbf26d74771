#include "model/kv_cache.h"

#include <string>
#include <utility>

namespace qasr {
namespace {

int pages_for(std::int64_t n_positions) {
  return static_cast<int>((n_positions + KvPool::kPageTokens - 1) / KvPool::kPageTokens);
}

}  // namespace

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
  for (int page = n_pages_ - 1; page >= 0; --page) free_.push_back(page);  // low numbers are handed out first
}

std::size_t KvPool::bytes_per_position(const TextDecoderConfig& config, DType dtype) {
  return 2 * static_cast<std::size_t>(config.n_layers) * static_cast<std::size_t>(config.n_kv_heads) *
         static_cast<std::size_t>(config.head_dim) * dtype_bytes(dtype);
}

KvSequence::~KvSequence() {
  if (pool_ != nullptr) pool_->free_.insert(pool_->free_.end(), pages_.rbegin(), pages_.rend());
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
  const std::size_t needed = static_cast<std::size_t>(pages_for(n_positions));
  if (needed <= pages_.size()) return;
  const std::size_t missing = needed - pages_.size();
  std::vector<std::int32_t>& free = pool_->free_;
  if (missing > free.size()) {
    throw Error(ErrorCode::kOutOfMemory, "KV cache: " + std::to_string(n_positions) + " positions need " +
                                             std::to_string(missing) + " more pages, " + std::to_string(free.size()) +
                                             " of " + std::to_string(pool_->n_pages_) + " are free");
  }
  pages_.insert(pages_.end(), free.rbegin(), free.rbegin() + static_cast<std::ptrdiff_t>(missing));
  free.resize(free.size() - missing);
}

void KvSequence::truncate(int n_positions) {
  QASR_CHECK(n_positions >= 0 && n_positions <= length_);
  length_ = n_positions;
}

int KvSequence::capacity() const { return static_cast<int>(pages_.size()) * KvPool::kPageTokens; }

}  // namespace qasr
