// Memory for tensors: 64-byte aligned, on huge pages where it is large, contents undefined at first.
#pragma once

#include <cstddef>
#include <utility>

namespace qasr {

class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;  ///< one cache line, one AVX-512 vector
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  AlignedBuffer() = default;
  /// 0 bytes: an empty buffer whose data() is null.
  /// @throws Error kOutOfMemory
  explicit AlignedBuffer(std::size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace qasr
