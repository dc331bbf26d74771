// SpooledFile: bytes of an upload, in memory up to a limit and beyond it in a temporary file without a name, which is
// gone with the process whatever happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qasr::server {

class SpooledFile {
 public:
  /// @param memory_limit_bytes  beyond it, everything goes to a file in TMPDIR (else /tmp)
  explicit SpooledFile(std::size_t memory_limit_bytes) : memory_limit_bytes_(memory_limit_bytes) {}
  ~SpooledFile();
  SpooledFile(SpooledFile&& other) noexcept;
  SpooledFile& operator=(SpooledFile&&) = delete;

  /// @throws Error kOutOfMemory  the file cannot be made or written (disk full)
  void append(std::string_view data);
  std::uint64_t size() const noexcept { return n_bytes_; }
  bool on_disk() const noexcept { return descriptor_ >= 0; }
  /// All bytes; valid until the next append and while this object lives.
  /// @throws Error kOutOfMemory  the file cannot be mapped
  std::span<const std::byte> bytes();

 private:
  void write_all(const char* data, std::size_t n_bytes);
  std::size_t memory_limit_bytes_;
  std::vector<char> memory_;
  std::uint64_t n_bytes_ = 0;
  int descriptor_ = -1;
  void* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
};

}  // namespace qasr::server
