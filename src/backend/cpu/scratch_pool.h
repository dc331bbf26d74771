// Scratch memory of operations: leased for one call, kept for the next. After the first calls of each shape nothing is
// allocated any more, whichever threads call.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/mutex.h"

namespace qasr::cpu {

class ScratchPool {
 public:
  /// Memory of one call; goes back to the pool on destruction. take() hands it out piece by piece.
  class Lease {
   public:
    Lease(ScratchPool& pool, AlignedBuffer buffer) : pool_(pool), buffer_(std::move(buffer)) {}
    ~Lease() { pool_.give_back(std::move(buffer_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    /// The next n elements, aligned to a cache line, contents undefined.
    template <typename T>
    T* take(std::size_t n) {
      T* piece = reinterpret_cast<T*>(buffer_.data() + used_);
      used_ += bytes_for<T>(n);
      return piece;
    }

   private:
    ScratchPool& pool_;
    AlignedBuffer buffer_;
    std::size_t used_ = 0;
  };

  /// Bytes that take<T>(n) uses.
  template <typename T>
  static constexpr std::size_t bytes_for(std::size_t n) {
    return (n * sizeof(T) + AlignedBuffer::kAlignment - 1) / AlignedBuffer::kAlignment * AlignedBuffer::kAlignment;
  }

  /// @throws Error kOutOfMemory
  Lease lease(std::size_t bytes) QASR_EXCLUDES(mutex_);

 private:
  void give_back(AlignedBuffer buffer) QASR_EXCLUDES(mutex_);

  Mutex mutex_;
  std::vector<AlignedBuffer> free_ QASR_GUARDED_BY(mutex_);
};

}  // namespace qasr::cpu
