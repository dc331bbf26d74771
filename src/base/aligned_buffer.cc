#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <new>
#include <string>

#include "qasr/error.h"

namespace qasr {
namespace {

constexpr std::size_t kHugePage = AlignedBuffer::kHugePage;
// Beyond the address space of today's processors; such a size is a miscalculation or an absurd option.
constexpr std::size_t kLargest = std::size_t{1} << 47;

bool is_huge(std::size_t bytes) { return bytes >= 2 * kHugePage; }

std::align_val_t alignment(std::size_t bytes) {
  return std::align_val_t{is_huge(bytes) ? kHugePage : AlignedBuffer::kAlignment};
}

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = bytes > kLargest ? nullptr : ::operator new(bytes, alignment(bytes), std::nothrow);
  if (memory == nullptr) {
    throw Error(ErrorCode::kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
  }
  // A page fault per 2 MiB instead of per 4 KiB, and fewer address translations while weights stream by. Only advice:
  // where the kernel declines, ordinary pages serve.
  if (is_huge(bytes)) ::madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
  bytes_ = bytes;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) ::operator delete(data_, alignment(bytes_));
}

}  // namespace qasr
