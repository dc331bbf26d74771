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

namespace qasr {

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
  /// Maps *.json, *.safetensors and merges.txt of a directory, sorted by name; everything else is ignored. Links are
  /// followed; mapping reads nothing yet.
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

 private:
  std::vector<CheckpointFile> files_;
  std::vector<MappedFile> mappings_;
  std::vector<std::vector<std::byte>> owned_;
  std::string where_;
};

}  // namespace qasr
