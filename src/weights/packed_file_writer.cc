// See packed_file.h: the writing half.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "qasr/error.h"
#include "weights/packed_file.h"
#include "weights/packed_file_format.h"

namespace qasr {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw Error(ErrorCode::kModel, "cannot write " + path.string() + ": " + std::strerror(error));
}

// Makes a rename survive a power failure. A file system that cannot do it loses the cache then, nothing else.
void flush_directory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

// Removes what writers of `path` left behind when they were killed: a living one holds the lock on its file.
void remove_leftovers(const std::filesystem::path& path) {
  const std::string prefix = path.filename().string() + ".";
  std::error_code error;
  std::filesystem::directory_iterator entry(path.parent_path(), error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (!entry->path().filename().string().starts_with(prefix)) continue;
    const int fd = ::open(entry->path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(entry->path().c_str());
    if (fd >= 0) ::close(fd);
  }
}

}  // namespace

PackedFileWriter::PackedFileWriter(std::filesystem::path path, std::string key)
    : path_(std::move(path)), key_(std::move(key)), end_(kPackedPage) {
  std::error_code error;
  std::filesystem::create_directories(path_.parent_path(), error);  // a failure shows below
  remove_leftovers(path_);
  // Another writer may take the file for a leftover before it is locked, and remove it: then once more.
  for (struct stat status{}; status.st_nlink == 0;) {
    if (fd_ >= 0) ::close(fd_);
    std::string pattern = path_.string() + ".XXXXXX";
    fd_ = ::mkostemp(pattern.data(), O_CLOEXEC);
    if (fd_ < 0) fail(path_, errno);
    partial_path_ = pattern;
    ::flock(fd_, LOCK_EX);
    if (::fstat(fd_, &status) != 0) break;
  }
}

PackedFileWriter::~PackedFileWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_path_.c_str());
}

void PackedFileWriter::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(partial_path_, written < 0 ? errno : ENOSPC);
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void PackedFileWriter::add(const std::string& name, std::span<const std::byte> bytes) {
  const std::uint64_t offset = (end_ + kPackedPage - 1) / kPackedPage * kPackedPage;
  write(offset, bytes);
  end_ = offset + bytes.size();
  sections_.push_back({.name = name, .offset = offset, .bytes = bytes.size(), .checksum = checksum(bytes)});
}

std::uint64_t PackedFileWriter::finish() {
  nlohmann::json table = {{"key", key_}, {"sections", nlohmann::json::array()}};
  for (const PackedSection& section : sections_) {
    table["sections"].push_back(
        {{"name", section.name}, {"offset", section.offset}, {"bytes", section.bytes}, {"checksum", section.checksum}});
  }
  const std::string text = table.dump();
  const auto table_bytes = std::as_bytes(std::span(text));
  PackedFileHeader header;
  header.file_bytes = end_ + text.size();
  header.table_offset = end_;
  header.table_bytes = text.size();
  header.table_checksum = checksum(table_bytes);
  header.header_checksum = header.own_checksum();
  write(end_, table_bytes);
  write(0, std::as_bytes(std::span(&header, 1)));
  if (::fsync(fd_) != 0 || ::fchmod(fd_, 0644) != 0) fail(partial_path_, errno);
  if (::rename(partial_path_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  ::close(std::exchange(fd_, -1));
  flush_directory(path_.parent_path());
  return header.file_bytes;
}

}  // namespace qasr
