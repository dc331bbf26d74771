#include "server/spooled_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "qasr/error.h"

namespace qasr::server {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kOutOfMemory, "upload: " + what + ": " + std::strerror(errno));
}

int make_temporary_file() {
  const char* directory = ::getenv("TMPDIR");
  std::string path = std::string(directory != nullptr && *directory != '\0' ? directory : "/tmp") + "/qasr-XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) fail("cannot make a temporary file in " + path.substr(0, path.rfind('/')));
  ::unlink(path.c_str());
  return descriptor;
}

}  // namespace

SpooledFile::~SpooledFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_bytes_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

SpooledFile::SpooledFile(SpooledFile&& other) noexcept
    : memory_limit_bytes_(other.memory_limit_bytes_),
      memory_(std::move(other.memory_)),
      n_bytes_(std::exchange(other.n_bytes_, 0)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_bytes_(other.mapped_bytes_) {}

void SpooledFile::append(std::string_view data) {
  if (descriptor_ < 0 && n_bytes_ + data.size() <= memory_limit_bytes_) {
    memory_.insert(memory_.end(), data.begin(), data.end());
  } else {
    if (descriptor_ < 0) {
      descriptor_ = make_temporary_file();
      write_all(memory_.data(), memory_.size());
      memory_ = {};
    }
    write_all(data.data(), data.size());
  }
  n_bytes_ += data.size();
}

void SpooledFile::write_all(const char* data, std::size_t n_bytes) {
  while (n_bytes > 0) {
    const ssize_t n_written = ::write(descriptor_, data, n_bytes);
    if (n_written < 0) {
      if (errno == EINTR) continue;
      fail("cannot write the temporary file");
    }
    data += n_written;
    n_bytes -= static_cast<std::size_t>(n_written);
  }
}

std::span<const std::byte> SpooledFile::bytes() {
  if (descriptor_ < 0) return std::as_bytes(std::span(memory_));
  if (mapping_ == nullptr || mapped_bytes_ != n_bytes_) {
    if (mapping_ != nullptr) ::munmap(std::exchange(mapping_, nullptr), mapped_bytes_);
    mapped_bytes_ = static_cast<std::size_t>(n_bytes_);
    void* mapping = ::mmap(nullptr, mapped_bytes_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (mapping == MAP_FAILED) fail("cannot map the temporary file");
    mapping_ = mapping;
  }
  return {static_cast<const std::byte*>(mapping_), mapped_bytes_};
}

}  // namespace qasr::server
