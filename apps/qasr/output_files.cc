#include "output_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "qasr/error.h"

namespace qasr::app {
namespace {

namespace fs = std::filesystem;

// The lock is on the temporary file, which keeps it when it is renamed; a file that was renamed between open() and
// flock() is somebody's result by now.
bool is_still_named(int descriptor, const fs::path& path) {
  struct stat opened = {}, named = {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace

OutputFile::OutputFile(fs::path path) : path_(std::move(path)) {
  part_ = path_.parent_path() / ("." + path_.filename().string() + ".part");
  std::error_code error;
  fs::create_directories(path_.parent_path(), error);
  if (error) fail(error.message());
  lock();
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  if (!committed_) ::unlink(part_.c_str());
  ::close(descriptor_);
}

void OutputFile::lock() {
  for (;;) {
    const int descriptor = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) fail(std::strerror(errno));
    const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    const int error = errno;
    if (locked && is_still_named(descriptor, part_)) {
      descriptor_ = descriptor;
      return;
    }
    ::close(descriptor);
    if (!locked) fail(error == EWOULDBLOCK ? "another run is writing it" : std::strerror(error));
  }
}

void OutputFile::begin() {
  if (begun_) return;
  if (::ftruncate(descriptor_, 0) != 0) fail(std::strerror(errno));
  begun_ = true;
}

void OutputFile::write(std::string_view content) {
  begin();
  while (!content.empty()) {
    const ssize_t n = ::write(descriptor_, content.data(), content.size());
    if (n < 0 && errno != EINTR) fail(std::strerror(errno));
    if (n > 0) content.remove_prefix(static_cast<std::size_t>(n));
  }
}

void OutputFile::commit() {
  begin();
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail(std::strerror(errno));
  if (::rename(part_.c_str(), path_.c_str()) != 0) fail(std::strerror(errno));
  committed_ = true;
}

void OutputFile::fail(const std::string& what) const {
  throw FileOutputError("cannot write " + path_.string() + ": " + what);
}

std::vector<fs::path> output_stems(const std::vector<InputFile>& inputs, const fs::path& folder) {
  std::map<fs::path, int> n_users;
  for (const InputFile& input : inputs) ++n_users[fs::path(input.name).replace_extension()];
  std::vector<fs::path> stems;
  std::map<fs::path, std::string> owners;
  for (const InputFile& input : inputs) {
    const fs::path without = fs::path(input.name).replace_extension();
    stems.push_back(folder / (n_users[without] > 1 ? input.name : without));
    const auto [owner, added] = owners.emplace(stems.back(), input.path);
    if (!added) {
      throw Error(ErrorCode::kInvalidArgument, "--output-dir: " + owner->second + " and " + input.path +
                                                   " would both be written to " + stems.back().string() + ".*");
    }
  }
  return stems;
}

fs::path output_path(const fs::path& stem, OutputFormat format) {
  fs::path path = stem;
  path += "." + std::string(output_format_name(format));
  return path;
}

bool is_finished(const fs::path& stem, const std::vector<OutputFormat>& formats, const std::string& input) {
  std::error_code error;
  const fs::file_time_type recorded = fs::last_write_time(input, error);
  if (error) return false;
  for (const OutputFormat format : formats) {
    const fs::path path = output_path(stem, format);
    const fs::file_time_type written = fs::last_write_time(path, error);
    if (error || written < recorded) return false;
    std::ifstream file(path, std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    if (!file || !is_complete(content, format)) return false;
  }
  return true;
}

void check_output_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileOutputError("cannot make the output folder " + folder.string() + ": " + error.message());
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw FileOutputError("cannot write to the output folder " + folder.string() + ": " + std::strerror(errno));
  }
}

}  // namespace qasr::app
