#include "backend/cpu/weight_memory.h"

#include <algorithm>

#include "backend/cpu/context.h"

namespace qasr::cpu {
namespace {

// Memory is resident from its first use on, so what a block has left costs nothing.
constexpr std::size_t kBlockBytes = 16 * AlignedBuffer::kHugePage;

}  // namespace

WeightMemory::Part WeightMemory::take(std::size_t bytes) {
  MutexLock lock(mutex_);
  const std::size_t begin = round_up(used_, AlignedBuffer::kAlignment);
  if (block_ != nullptr && begin + bytes <= block_->bytes()) {
    used_ = begin + bytes;
    return {block_, block_->data() + begin};
  }
  auto block = std::make_shared<AlignedBuffer>(round_up(std::max(bytes, kBlockBytes), AlignedBuffer::kHugePage));
  if (block_ == nullptr || block->bytes() - bytes > block_->bytes() - used_) {  // has more room for those to come
    block_ = block;
    used_ = bytes;
  }
  return {block, block->data()};
}

}  // namespace qasr::cpu
