// Files are read with pread rather than mapped: a file that shrinks while it is decoded must give an error, not SIGBUS.
#include "audio/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include "audio/input_error.h"
#include "base/check.h"

namespace qasr {
namespace {

constexpr std::size_t kLiveBeginningBytes = 4096;

constexpr std::size_t kStreamChunkBytes = std::size_t{1} << 18;

std::string errno_text(int error) { return std::generic_category().message(error); }

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  explicit MemorySource(std::vector<std::byte> owned) : owned_(std::move(owned)), bytes_(owned_) {}

  std::ptrdiff_t read_at(std::uint64_t offset, std::span<std::byte> out) const noexcept override {
    if (offset >= bytes_.size()) return 0;
    const std::size_t n = std::min(out.size(), static_cast<std::size_t>(bytes_.size() - offset));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
    return static_cast<std::ptrdiff_t>(n);
  }
  std::uint64_t size() const noexcept override { return bytes_.size(); }

 private:
  std::vector<std::byte> owned_;
  std::span<const std::byte> bytes_;
};

class FileDescriptor {
 public:
  explicit FileDescriptor(int value) : value_(value) {}
  ~FileDescriptor() { ::close(value_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const noexcept { return value_; }

 private:
  int value_;
};

class FileSource final : public ByteSource {
 public:
  FileSource(std::unique_ptr<FileDescriptor> file, const struct stat& info) : file_(std::move(file)), info_(info) {}

  std::ptrdiff_t read_at(std::uint64_t offset, std::span<std::byte> out) const noexcept override {
    for (;;) {
      const ssize_t n = ::pread(file_->get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n >= 0) return n;
      if (errno != EINTR) return -errno;
    }
  }
  std::uint64_t size() const noexcept override { return static_cast<std::uint64_t>(info_.st_size); }
  bool has_changed() const noexcept override {
    struct stat now = {};
    return ::fstat(file_->get(), &now) != 0 || now.st_size != info_.st_size ||
           now.st_mtim.tv_sec != info_.st_mtim.tv_sec || now.st_mtim.tv_nsec != info_.st_mtim.tv_nsec;
  }

 private:
  std::unique_ptr<FileDescriptor> file_;
  struct stat info_;  // when it was opened
};

// A temporary file without a name: the system removes it with its last descriptor.
class SpoolFile {
 public:
  SpoolFile() {
    std::error_code error;
    const std::filesystem::path directory = std::filesystem::temp_directory_path(error);
    directory_ = error ? "/tmp" : directory.string();
    std::string path = directory_ + "/qasr-XXXXXX";
    const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor < 0) fail();
    file_ = std::make_unique<FileDescriptor>(descriptor);
    ::unlink(path.c_str());
  }
  void append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_->get(), bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) fail();
      if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  std::unique_ptr<ByteSource> source() && {
    struct stat info = {};
    if (::fstat(file_->get(), &info) != 0) fail();
    return std::make_unique<FileSource>(std::move(file_), info);
  }

 private:
  [[noreturn]] void fail() const {
    throw_input_error("a temporary file of " + directory_, "a write error (" + errno_text(errno) + ")",
                      "room for the recording (TMPDIR names another folder)");
  }
  std::string directory_;
  std::unique_ptr<FileDescriptor> file_;
};

std::size_t read_some(int file, std::span<std::byte> out, const std::string& name) {
  for (;;) {
    const ssize_t n = ::read(file, out.data(), out.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) throw_input_error(name, "a read error (" + errno_text(errno) + ")", "a readable file");
  }
}

// Reads forward only. `read` may throw; FFmpeg's callbacks may not: the error is kept until the reader asks.
class LiveSource final : public ByteSource {
 public:
  explicit LiveSource(std::function<std::size_t(std::span<std::byte>)> read) : read_(std::move(read)) {}

  std::ptrdiff_t read_at(std::uint64_t offset, std::span<std::byte> out) const noexcept override {
    try {
      if (offset < beginning_.size()) {
        const std::size_t n = std::min(out.size(), static_cast<std::size_t>(beginning_.size() - offset));
        std::copy_n(beginning_.begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
        return static_cast<std::ptrdiff_t>(n);
      }
      if (offset != position_) return offset < position_ ? -ESPIPE : 0;
      const std::size_t n = std::min(out.size(), read_(out));
      position_ += n;
      const std::size_t n_kept = std::min(n, kLiveBeginningBytes - beginning_.size());
      beginning_.insert(beginning_.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n_kept));
      return static_cast<std::ptrdiff_t>(n);
    } catch (...) {
      return -EIO;
    }
  }
  std::uint64_t size() const noexcept override { return UINT64_MAX / 2; }
  bool is_live() const noexcept override { return true; }

 private:
  std::function<std::size_t(std::span<std::byte>)> read_;
  mutable std::vector<std::byte> beginning_;
  mutable std::uint64_t position_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> memory_source(std::span<const std::byte> bytes) {
  return std::make_unique<MemorySource>(bytes);
}

std::unique_ptr<ByteSource> live_source(std::function<std::size_t(std::span<std::byte>)> read) {
  return std::make_unique<LiveSource>(std::move(read));
}

std::unique_ptr<ByteSource> file_source(const std::filesystem::path& path) {
  const std::string name = path.string();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw_input_error(name, errno_text(errno), "a readable file");
  auto file = std::make_unique<FileDescriptor>(descriptor);

  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) throw_input_error(name, errno_text(errno), "a readable file");
  if (S_ISDIR(info.st_mode)) throw_input_error(name, "a directory", "an audio file");
  if (S_ISREG(info.st_mode)) {
    return std::make_unique<FileSource>(std::move(file), info);
  }
  return stream_source([&](std::span<std::byte> out) { return read_some(descriptor, out, name); });
}

std::unique_ptr<ByteSource> stream_source(const std::function<std::size_t(std::span<std::byte>)>& read,
                                          std::size_t max_memory_bytes) {
  std::vector<std::byte> bytes;
  std::size_t n_bytes = 0;
  std::optional<SpoolFile> spool;
  for (;;) {
    bytes.resize(spool ? kStreamChunkBytes : n_bytes + std::max(kStreamChunkBytes, n_bytes / 2));
    const auto room = std::span(bytes).subspan(spool ? 0 : n_bytes);
    const std::size_t n_read = read(room);
    QASR_CHECK_MSG(n_read <= room.size(), "a byte source returned more than it was asked for");
    if (n_read == 0) break;
    if (spool) {
      spool->append(room.first(n_read));
      continue;
    }
    n_bytes += n_read;
    if (n_bytes > max_memory_bytes) {
      spool.emplace();
      spool->append(std::span(bytes).first(n_bytes));
      bytes = {};
    }
  }
  if (spool) return std::move(*spool).source();
  bytes.resize(n_bytes);
  return std::make_unique<MemorySource>(std::move(bytes));
}

}  // namespace qasr
