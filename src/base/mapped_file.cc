#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path, std::strerror(errno));
  struct stat status {};
  const int stat_result = ::fstat(fd, &status);
  if (stat_result == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    size_ = static_cast<std::size_t>(status.st_size);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int error = errno;
  ::close(fd);
  if (stat_result != 0) fail(path, std::strerror(error));
  if (!S_ISREG(status.st_mode)) fail(path, "not a regular file");
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    fail(path, std::string("cannot map it: ") + std::strerror(error));
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace qasr
