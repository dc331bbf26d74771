// WeightMemory: where packed weights live. Matrices share blocks of huge pages, so that small ones lie on them too:
// with one address translation per 2 MiB instead of per 4 KiB they stream up to a quarter faster (docs/performance.md).
#pragma once

#include <cstddef>
#include <memory>

#include "base/aligned_buffer.h"
#include "base/mutex.h"

namespace qasr::cpu {

class WeightMemory {
 public:
  /// Part of a block, which lives as long as any of its parts.
  struct Part {
    std::shared_ptr<AlignedBuffer> block;
    std::byte* data = nullptr;
  };

  /// `bytes` aligned to a cache line, contents undefined.
  /// @throws Error kOutOfMemory
  Part take(std::size_t bytes) QASR_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::shared_ptr<AlignedBuffer> block_ QASR_GUARDED_BY(mutex_);  // the one that is being filled
  std::size_t used_ QASR_GUARDED_BY(mutex_) = 0;
};

}  // namespace qasr::cpu
