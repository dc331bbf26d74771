// See mapped_file.h. POSIX open, fstat, mmap; every failure names the file and what the system said.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "qasr/error.h"

namespace qasr {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& found) {
  throw Error(ErrorCode::kModel, "cannot read " + path.string() + ": " + found);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to must fail below, not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    const int error = errno;
    ::close(fd);
    fail(path, std::strerror(error));
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    fail(path, S_ISDIR(status.st_mode) ? "a directory, expected a file" : "not a regular file");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = nullptr;
  if (size > 0) data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);  // mmap refuses length 0
  const int error = errno;
  ::close(fd);  // the mapping keeps the file
  if (data == MAP_FAILED) fail(path, std::string("cannot map it: ") + std::strerror(error));
  data_ = data;
  size_ = size;
  modified_ns_ = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), modified_ns_(other.modified_ns_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(modified_ns_, other.modified_ns_);
  return *this;
}

void MappedFile::release(std::span<const std::byte> bytes) const noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()), base = reinterpret_cast<std::uintptr_t>(data_);
  if (bytes.empty() || begin < base || begin + bytes.size() > base + size_) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = begin / page * page, end = (begin + bytes.size() + page - 1) / page * page;
  ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);  // advice: a refusal costs memory only
}

}  // namespace qasr
