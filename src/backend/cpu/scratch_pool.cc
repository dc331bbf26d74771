#include "backend/cpu/scratch_pool.h"

#include <algorithm>

namespace qasr::cpu {
namespace {

// As many calls as may overlap (threads, nesting) without the free list growing.
constexpr std::size_t kReservedLeases = 64;

}  // namespace

ScratchPool::Lease ScratchPool::lease(std::size_t bytes) {
  AlignedBuffer buffer;
  {
    MutexLock lock(mutex_);
    if (free_.capacity() == 0) free_.reserve(kReservedLeases);
    // The first that is large enough, else the last, which then grows.
    auto found = std::find_if(free_.begin(), free_.end(), [&](const AlignedBuffer& b) { return b.bytes() >= bytes; });
    if (found == free_.end() && !free_.empty()) --found;
    if (found != free_.end()) {
      buffer = std::move(*found);
      free_.erase(found);
    }
  }
  if (buffer.bytes() < bytes) {
    buffer = AlignedBuffer();  // first, so that old and new memory never exist side by side
    buffer = AlignedBuffer(bytes);
  }
  return {*this, std::move(buffer)};
}

void ScratchPool::give_back(AlignedBuffer buffer) {
  MutexLock lock(mutex_);
  free_.push_back(std::move(buffer));
}

}  // namespace qasr::cpu
