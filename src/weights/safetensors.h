// The safetensors container: u64 header length (little-endian), a JSON header, then the tensors' bytes.
//
//   {"__metadata__": {...}, "NAME": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, ...}
//
// Offsets count from the end of the header. The reader trusts nothing: it is the first to look at files from the net.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/host_tensor.h"

namespace qasr {

/// A tensor as a file describes it; GGUF files (weights/gguf.h) give the same.
struct StoredTensor {
  std::string name;                  ///< as stored: "thinker.audio_tower.conv2d1.weight"
  std::string dtype_text;            ///< as stored: "BF16", "Q4_K"
  std::optional<DType> dtype;        ///< absent for types the engine does not compute with (F64, I64, BOOL, F8_*, ...)
  std::vector<std::int64_t> dims;    ///< any rank
  std::span<const std::byte> bytes;  ///< into the file
  Encoding encoding = Encoding::kPlain;  ///< never kMlxAffine, which takes three tensors (weights/stored_tensors.h)
};

/// Reads the header of a file and checks that tensors lie inside it, have the size their shape and dtype need, do not
/// overlap and leave no gaps. The tensors' bytes are not touched.
/// @param where  names the file in messages
/// @return tensors in the order of their bytes
/// @throws Error kModel  naming file, tensor, found and expected
std::vector<StoredTensor> read_safetensors(std::span<const std::byte> file, const std::string& where);

/// The first bytes of a file holding `tensors` one after another: length, header, padding to 64 bytes. Their `bytes`
/// are not looked at.
std::string safetensors_header(std::span<const HostTensor> tensors);

/// Writes a file piece by piece, in any order and from any number of threads, so that tensors need not fit into memory.
/// The file appears under its name when finish() succeeds; until then it is "NAME.partial".
class SafetensorsWriter {
 public:
  /// @param tensors  name, dtype and shape of what will be written; `bytes` are ignored
  /// @throws Error kModel  the file cannot be created
  SafetensorsWriter(std::filesystem::path path, std::span<const HostTensor> tensors);
  ~SafetensorsWriter();  ///< removes an unfinished file
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// Bytes of tensor number `tensor`, from its byte `offset` on. Thread-safe.
  /// @throws Error kModel  the write failed (disk full)
  void write(std::size_t tensor, std::size_t offset, std::span<const std::byte> bytes);
  /// @throws Error kModel  flushing or renaming failed; kInternal if bytes are missing
  void finish();

 private:
  std::filesystem::path path_, partial_path_;
  std::vector<std::size_t> begins_;  // of each tensor in the file; one more for the end
  std::atomic<std::size_t> written_{0};
  int fd_ = -1;
};

/// Writes tensors that are in memory. @throws Error kModel
void write_safetensors(const std::filesystem::path& path, std::span<const HostTensor> tensors);

}  // namespace qasr
