// Writing side of safetensors.h.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "qasr/error.h"
#include "weights/json_reader.h"
#include "weights/safetensors.h"

namespace qasr {
namespace {

constexpr std::size_t kDataAlignment = 64;  // of the data area: tensors start on a cache line where their sizes allow

std::size_t tensor_bytes(const HostTensor& tensor) {
  return static_cast<std::size_t>(tensor.shape.elements()) * dtype_bytes(tensor.dtype);
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorCode::kModel, "cannot write " + path.string() + ": " + reason);
}

void write_all(int fd, const std::byte* data, std::size_t n_bytes, std::size_t offset,
               const std::filesystem::path& path) {
  while (n_bytes > 0) {
    const ssize_t n_written = ::pwrite(fd, data, n_bytes, static_cast<off_t>(offset));
    if (n_written < 0 && errno == EINTR) continue;
    if (n_written <= 0) fail(path, std::strerror(errno));
    data += n_written;
    offset += static_cast<std::size_t>(n_written);
    n_bytes -= static_cast<std::size_t>(n_written);
  }
}

}  // namespace

std::string safetensors_header(std::span<const HostTensor> tensors) {
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};  // "pt": what transformers expects to find
  std::size_t begin = 0;
  for (const HostTensor& tensor : tensors) {
    std::string dtype(dtype_name(tensor.dtype));
    std::transform(dtype.begin(), dtype.end(), dtype.begin(), [](unsigned char c) { return std::toupper(c); });
    std::vector<std::int64_t> dims;
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) dims.push_back(tensor.shape[axis]);
    const std::size_t end = begin + tensor_bytes(tensor);
    QASR_CHECK_MSG(!header.contains(tensor.name), "tensor " + tensor.name + " is written twice");
    header[tensor.name] = {{"dtype", dtype}, {"shape", dims}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.append((kDataAlignment - (8 + text.size()) % kDataAlignment) % kDataAlignment, ' ');
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((text.size() >> (8 * i)) & 0xFF);
  return length + text;
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::span<const HostTensor> tensors)
    : path_(std::move(path)), partial_path_(path_.string() + ".partial") {
  const std::string header = safetensors_header(tensors);
  begins_.push_back(header.size());
  for (const HostTensor& tensor : tensors) begins_.push_back(begins_.back() + tensor_bytes(tensor));
  fd_ = ::open(partial_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(partial_path_, std::strerror(errno));
  try {
    write_all(fd_, reinterpret_cast<const std::byte*>(header.data()), header.size(), 0, partial_path_);
  } catch (...) {
    ::close(fd_);
    ::unlink(partial_path_.c_str());
    throw;
  }
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_path_.c_str());
}

void SafetensorsWriter::write(std::size_t tensor, std::size_t offset, std::span<const std::byte> bytes) {
  QASR_CHECK(tensor + 1 < begins_.size());
  QASR_CHECK(offset + bytes.size() <= begins_[tensor + 1] - begins_[tensor]);
  write_all(fd_, bytes.data(), bytes.size(), begins_[tensor] + offset, partial_path_);
  written_ += bytes.size();
}

void SafetensorsWriter::finish() {
  QASR_CHECK_MSG(written_ == begins_.back() - begins_.front(), path_.string() + " is incomplete");
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int error = errno;
    ::unlink(partial_path_.c_str());
    fail(path_, std::strerror(error));
  }
  std::error_code error;
  std::filesystem::rename(partial_path_, path_, error);
  if (error) {
    ::unlink(partial_path_.c_str());
    fail(path_, error.message());
  }
}

void write_safetensors(const std::filesystem::path& path, std::span<const HostTensor> tensors) {
  SafetensorsWriter writer(path, tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    QASR_CHECK_MSG(tensors[i].bytes.size() == tensor_bytes(tensors[i]), tensors[i].name);
    writer.write(i, 0, tensors[i].bytes);
  }
  writer.finish();
}

}  // namespace qasr
