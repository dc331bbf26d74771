// A file mapped read-only into memory, unmapped on destruction.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace qasr {

class MappedFile {
 public:
  MappedFile() = default;
  /// @throws Error kModel  missing, a directory, unreadable; an empty file maps to an empty span
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace qasr
