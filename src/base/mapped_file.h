// A file mapped read-only into memory, unmapped on destruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace qasr {

class MappedFile {
 public:
  MappedFile() = default;
  /// An empty file maps to an empty span. Pages are read when touched, so mapping a large file costs nothing yet; a
  /// file that another process shortens while it is mapped raises SIGBUS on access, as with any mapping.
  /// @throws Error kModel  missing, a directory, a pipe or device, unreadable
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  /// When the file was last changed, in nanoseconds since 1970, as of when it was mapped.
  std::int64_t modified_ns() const { return modified_ns_; }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

  /// Gives the memory of these bytes back to the system; the next access reads them from the file again. Whole pages:
  /// neighbours that share one go along. Bytes outside of the file are left alone.
  void release(std::span<const std::byte> bytes) const noexcept;

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
  std::int64_t modified_ns_ = 0;
};

}  // namespace qasr
