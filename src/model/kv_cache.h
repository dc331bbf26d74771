// KV cache bookkeeping: a pool of pages on the backend, and sequences that own some of them.
// Sequences of any length share one pool, join and leave in any order; freed pages are reused at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "qasr/options.h"
#include "weights/model_config.h"

namespace qasr {

class KvPool;

/// The element type that a format means beside these weights.
DType kv_cache_dtype(KvCacheFormat format, WeightFormat weights);

/// The cached positions of one sequence. Returns its pages to the pool on destruction; the pool must outlive it.
class KvSequence {
 public:
  explicit KvSequence(KvPool& pool) : pool_(&pool) {}
  ~KvSequence();
  KvSequence(KvSequence&& other) noexcept;
  KvSequence& operator=(KvSequence&& other) noexcept;

  /// Makes room for `n_positions` positions in all.
  /// @throws Error kOutOfMemory  the pool has too few free pages (the message says how many); nothing is taken then
  void reserve(int n_positions);
  /// Begins an empty sequence with the positions of full pages that other sequences hold as well. They replace the
  /// first pages reserved so far; nobody may write to them from now on.
  void share_pages(std::span<const std::int32_t> pages);
  /// Forgets positions from `n_positions` on; pages stay reserved.
  void truncate(int n_positions);
  /// truncate(), and gives back the pages that are not needed for what is left.
  void shrink(int n_positions);
  /// Counts positions that an operation has appended.
  void advance(int n_positions) { length_ += n_positions; }

  int length() const { return length_; }
  int capacity() const;
  std::span<const std::int32_t> pages() const { return pages_; }
  KvPool& pool() const { return *pool_; }

 private:
  KvPool* pool_;
  std::vector<std::int32_t> pages_;
  int length_ = 0;
};

class KvPool {
 public:
  static constexpr int kPageTokens = 64;

  /// @param n_positions  positions of all sequences together, rounded up to whole pages
  KvPool(Backend& backend, const TextDecoderConfig& config, std::int64_t n_positions, DType dtype);

  KvCache& cache() { return *cache_; }
  std::int64_t n_positions() const { return static_cast<std::int64_t>(n_pages_) * kPageTokens; }
  int n_pages() const { return n_pages_; }
  int n_free_pages() const { return static_cast<int>(free_.size()); }
  /// Pages that n positions take.
  static int pages_for(std::int64_t n_positions) {
    return static_cast<int>((n_positions + kPageTokens - 1) / kPageTokens);
  }

  /// Bytes one position takes.
  static std::size_t bytes_per_position(const TextDecoderConfig& config, DType dtype);

 private:
  friend class KvSequence;
  void release(std::int32_t page);

  int n_pages_;
  std::vector<std::int32_t> free_;
  std::vector<std::int32_t> n_owners_;  // [n_pages] sequences that hold the page
  std::unique_ptr<KvCache> cache_;
};

}  // namespace qasr
