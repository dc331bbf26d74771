// The files of a checkpoint, whether memory-mapped from a directory or handed over in memory.
#pragma once

#include <cstddef>
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
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

class CheckpointFiles {
 public:
  /// Maps config.json, the tokenizer files, *.json and *.safetensors of a directory.
  /// @throws Error kModel  not a directory, no config.json (the message lists what is there)
  static CheckpointFiles open_directory(const std::filesystem::path& directory);
  /// Borrows memory. `where` names the source in messages.
  static CheckpointFiles from_memory(std::vector<CheckpointFile> files, std::string where);

  const CheckpointFile* find(std::string_view name) const;
  /// @throws Error kModel  "config.json not found in DIR"
  const CheckpointFile& require(std::string_view name) const;
  std::span<const CheckpointFile> all() const { return files_; }
  /// Directory or name, for messages.
  const std::string& where() const { return where_; }

 private:
  std::vector<CheckpointFile> files_;
  std::vector<MappedFile> mappings_;
  std::string where_;
};

}  // namespace qasr
