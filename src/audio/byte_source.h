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
  /// Bytes come as they are made and can be read in order only (but for the first few): size() is not known.
  virtual bool is_live() const noexcept { return false; }
  /// True if the file has another size or time of change than when it was opened.
  virtual bool has_changed() const noexcept { return false; }
};

/// A stream that is longer goes to a file: an hour of CD audio is 600 MB.
inline constexpr std::size_t kMaxMemoryBytes = std::size_t{64} << 20;

/// Borrows bytes in memory.
std::unique_ptr<ByteSource> memory_source(std::span<const std::byte> bytes);

/// Opens a file. What cannot seek (a pipe, a terminal, a socket given by path) is read to its end by stream_source.
/// @throws Error kInput  missing, not readable, a directory
std::unique_ptr<ByteSource> file_source(const std::filesystem::path& path);

/// Reads a stream to its end: into memory, and beyond kMaxMemoryBytes into a temporary file without a name. `read`
/// fills the span and returns the number of bytes, 0 at the end.
/// @throws Error kInternal  `read` returned more than fits; kInput  the temporary file cannot be written (TMPDIR or
///         /tmp, disk full); and whatever `read` throws
std::unique_ptr<ByteSource> stream_source(const std::function<std::size_t(std::span<std::byte>)>& read,
                                          std::size_t max_memory_bytes = kMaxMemoryBytes);

/// A stream that is read as it comes: read_at() waits for `read`. Nothing is kept but the first bytes, for messages.
std::unique_ptr<ByteSource> live_source(std::function<std::size_t(std::span<std::byte>)> read);

}  // namespace qasr
