// The file that keeps packed weights across runs: named sections of bytes whose meaning is the writer's, found again
// only under exactly the key they were written with. docs/cache.md describes format and promises.
//
//   [header, one page]  magic "qasrpack", u32 version, u32 0, then u64: file bytes, table offset, table bytes, table
//                       checksum, checksum of the header so far; little-endian
//   [sections]          each begins on a page
//   [table]             JSON {"key": ..., "sections": [{"name", "offset", "bytes", "checksum"}, ...]}
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"

namespace qasr {

struct PackedSection {
  std::string name;
  std::uint64_t offset = 0, bytes = 0, checksum = 0;
};

/// A complete, undamaged file, mapped read-only.
class PackedFile {
 public:
  /// Reads and checks everything: header, table, key and the checksum of every section, on n_threads threads.
  /// @throws Error kModel  missing or not readable; the message of anything else says what is damaged or differs
  PackedFile(const std::filesystem::path& path, const std::string& key, int n_threads);

  /// Page-aligned; empty if there is no such section.
  std::span<const std::byte> find(const std::string& name) const;

 private:
  MappedFile file_;
  std::map<std::string, PackedSection> sections_;
};

/// Writes a file section by section under a temporary name of its own in the same directory; finish() makes it appear
/// under `path`, replacing whatever is there. So readers see a whole file or none, and of two writers the last one
/// wins.
class PackedFileWriter {
 public:
  /// Makes the directory if it is missing. @throws Error kModel  nothing can be created there
  PackedFileWriter(std::filesystem::path path, std::string key);
  ~PackedFileWriter();  ///< removes an unfinished file
  PackedFileWriter(const PackedFileWriter&) = delete;
  PackedFileWriter& operator=(const PackedFileWriter&) = delete;

  /// @throws Error kModel  the write failed (disk full)
  void add(const std::string& name, std::span<const std::byte> bytes);
  /// Flushes to the disk and renames. @throws Error kModel
  /// @return bytes of the file
  std::uint64_t finish();

 private:
  void write(std::uint64_t offset, std::span<const std::byte> bytes);

  std::filesystem::path path_, partial_path_;
  std::string key_;
  std::vector<PackedSection> sections_;
  std::uint64_t end_;  // of the last section
  int fd_ = -1;
};

}  // namespace qasr
