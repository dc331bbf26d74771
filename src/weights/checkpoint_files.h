// The files of a checkpoint, whether memory-mapped from a directory or handed over in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "tensor/host_tensor.h"

namespace qasr {

inline constexpr const char* kConfigName = "config.json";

struct CheckpointFile {
  std::string name;  ///< file name without directory
  std::span<const std::byte> bytes;
  std::int64_t modified_ns = 0;  ///< since 1970; 0 for bytes that are in memory
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// A file whose bytes are handed over.
struct OwnedFile {
  std::string name;
  std::vector<std::byte> bytes;
};

class CheckpointFiles {
 public:
  /// Whatever a user has: a directory, a weight file in one (its neighbours complete it), told by content.
  ///   directory     open_directory; without config.json, a GGUF checkpoint
  ///   GGUF          the file, or the text model with its mmproj file, and nothing else of the directory: configuration
  ///   and
  ///                 tokenizer are made from metadata
  ///   safetensors   the directory of the file, and of the safetensors files there this one only, unless an index names
  ///   it
  /// @throws Error kModel  nothing there, an unsupported format (the message says which), parts missing
  static CheckpointFiles open(const std::filesystem::path& path);
  /// Maps *.json, *.safetensors, *.gguf and merges.txt of a directory, sorted by name, and files of other names whose
  /// first bytes are those of weights, read or not; everything else is ignored. Links are followed; mapping reads next
  /// to nothing yet. Of a GGUF checkpoint what is missing is made (weights/gguf_checkpoint.h).
  /// @throws Error kModel  not a directory, unreadable, no config.json (the message lists what is there)
  static CheckpointFiles open_directory(const std::filesystem::path& directory);
  /// Borrows memory. `where` names the source in messages.
  /// @throws Error kModel  two files of one name
  static CheckpointFiles from_memory(std::vector<CheckpointFile> files, std::string where);
  /// Keeps the memory itself: what tests and generated checkpoints use.
  static CheckpointFiles from_owned(std::vector<OwnedFile> files, std::string where);

  const CheckpointFile* find(std::string_view name) const;
  /// @throws Error kModel  "config.json not found in DIR, which holds: ..."
  const CheckpointFile& require(std::string_view name) const;
  std::span<const CheckpointFile> all() const { return files_; }
  /// Whether the files are mapped from a directory.
  bool are_mapped() const { return !mappings_.empty(); }
  /// Directory or name, for messages.
  const std::string& where() const { return where_; }
  /// "DIR/config.json", for messages.
  std::string path_of(std::string_view name) const { return where_ + "/" + std::string(name); }

  /// The caller has taken what it needs from these bytes: gives their memory back where this object mapped the file
  /// itself. Memory of the caller's is never touched, and the bytes stay readable.
  void release(std::span<const std::byte> bytes) const noexcept;
  void release(const HostTensor& tensor) const noexcept;

 private:
  static CheckpointFiles map_directory(const std::filesystem::path& directory);
  void keep_gguf_parts(const std::string& wanted);
  void add_owned(OwnedFile file);

  std::vector<CheckpointFile> files_;
  std::vector<MappedFile> mappings_;
  std::vector<std::vector<std::byte>> owned_;
  std::string where_;
};

}  // namespace qasr
