// See packed_file.h: the reading half. It trusts nothing in a file before its checksum agrees.
#include "weights/packed_file.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "base/checksum.h"
#include "qasr/error.h"
#include "weights/json_reader.h"
#include "weights/packed_file_format.h"

namespace qasr {
namespace {

[[noreturn]] void damaged(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::kModel, path.string() + " is damaged: " + what);
}

PackedFileHeader read_header(const std::filesystem::path& path, std::span<const std::byte> file) {
  PackedFileHeader header;
  if (file.size() < kPackedPage) damaged(path, "it has " + std::to_string(file.size()) + " bytes only");
  std::memcpy(&header, file.data(), sizeof header);
  if (header.magic != kPackedMagic || header.header_checksum != header.own_checksum()) {
    damaged(path, "its header does not agree with its checksum");
  }
  if (header.version != kPackedVersion) damaged(path, "its version is " + std::to_string(header.version));
  if (header.file_bytes != file.size()) {
    damaged(path, "it has " + std::to_string(file.size()) + " bytes, expected " + std::to_string(header.file_bytes));
  }
  if (header.table_offset > file.size() || header.table_bytes > file.size() - header.table_offset) {
    damaged(path, "its table lies outside of the file");
  }
  return header;
}

// Checksums of all sections, the largest ones first so that threads finish together; true if all agree.
bool sections_agree(std::span<const std::byte> file, std::vector<PackedSection> sections, int n_threads) {
  std::sort(sections.begin(), sections.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  std::atomic<std::size_t> next{0};
  std::atomic<bool> agree{true};
  const auto work = [&] {
    for (std::size_t index = next++; index < sections.size() && agree; index = next++) {
      const PackedSection& section = sections[index];
      if (checksum(file.subspan(section.offset, section.bytes)) != section.checksum) agree = false;
    }
  };
  std::vector<std::jthread> threads;
  for (int thread = 1; thread < n_threads; ++thread) threads.emplace_back(work);
  work();
  threads.clear();  // joins
  return agree;
}

std::vector<PackedSection> read_sections(const nlohmann::json& table, const std::filesystem::path& path,
                                         std::size_t file_bytes) {
  std::vector<PackedSection> sections;
  for (const nlohmann::json& entry : table.at("sections")) {
    PackedSection section{.name = entry.at("name").get<std::string>(),
                          .offset = entry.at("offset").get<std::uint64_t>(),
                          .bytes = entry.at("bytes").get<std::uint64_t>(),
                          .checksum = entry.at("checksum").get<std::uint64_t>()};
    if (section.offset % kPackedPage != 0 || section.offset > file_bytes ||
        section.bytes > file_bytes - section.offset) {
      damaged(path, "section " + section.name + " lies outside of the file");
    }
    sections.push_back(std::move(section));
  }
  return sections;
}

}  // namespace

PackedFile::PackedFile(const std::filesystem::path& path, const std::string& key, int n_threads) : file_(path) {
  const std::span<const std::byte> file = file_.bytes();
  const PackedFileHeader header = read_header(path, file);
  const auto table_bytes = file.subspan(header.table_offset, header.table_bytes);
  if (checksum(table_bytes) != header.table_checksum) damaged(path, "its table does not agree with its checksum");
  const nlohmann::json table =
      parse_json({reinterpret_cast<const char*>(table_bytes.data()), table_bytes.size()}, path.string());
  if (table.at("key") != key) throw Error(ErrorCode::kModel, path.string() + " belongs to another checkpoint");
  const std::vector<PackedSection> sections = read_sections(table, path, file.size());
  if (!sections_agree(file, sections, n_threads)) damaged(path, "a section does not agree with its checksum");
  for (const PackedSection& section : sections) sections_[section.name] = section;
}

std::span<const std::byte> PackedFile::find(const std::string& name) const {
  const auto found = sections_.find(name);
  if (found == sections_.end()) return {};
  return file_.bytes().subspan(found->second.offset, found->second.bytes);
}

}  // namespace qasr
