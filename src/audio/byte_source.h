// Where the encoded bytes of a recording come from: a file, or memory. First stage of decoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qasr {

/// Random access to bytes. Containers need it: an MP4 file may keep its index at the end.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Copies bytes from `offset` on. Returns how many, 0 at the end, or a negative errno value.
  virtual std::ptrdiff_t read_at(std::uint64_t offset, std::span<std::byte> out) const noexcept = 0;
  virtual std::uint64_t size() const noexcept = 0;
};

/// Borrows bytes in memory.
std::unique_ptr<ByteSource> memory_source(std::span<const std::byte> bytes);

/// Opens a file. What cannot seek (a pipe, a terminal, a socket given by path) is read to its end into memory.
/// @throws Error kInput  missing, not readable, a directory
std::unique_ptr<ByteSource> file_source(const std::filesystem::path& path);

/// Reads a stream to its end into memory. `read` fills the span and returns the number of bytes, 0 at the end.
/// @throws Error kInternal  `read` returned more than fits; and whatever `read` throws
std::unique_ptr<ByteSource> stream_source(const std::function<std::size_t(std::span<std::byte>)>& read);

}  // namespace qasr
