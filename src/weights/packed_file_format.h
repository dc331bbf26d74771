// The fixed part of a packed file, shared by reader and writer (weights/packed_file.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/checksum.h"

namespace qasr {

inline constexpr std::array<char, 8> kPackedMagic = {'q', 'a', 's', 'r', 'p', 'a', 'c', 'k'};
inline constexpr std::uint32_t kPackedVersion = 1;
inline constexpr std::uint64_t kPackedPage = 4096;  ///< alignment of sections and size of the header

struct PackedFileHeader {
  std::array<char, 8> magic = kPackedMagic;
  std::uint32_t version = kPackedVersion, reserved = 0;
  std::uint64_t file_bytes = 0, table_offset = 0, table_bytes = 0, table_checksum = 0;
  std::uint64_t header_checksum = 0;  ///< of all before it

  std::uint64_t own_checksum() const {
    return checksum(std::as_bytes(std::span(this, 1)).first(sizeof *this - sizeof header_checksum));
  }
};
static_assert(sizeof(PackedFileHeader) == 56);

}  // namespace qasr
