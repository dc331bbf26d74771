// CRC-32 (IEEE 802.3, as zlib computes it): how fixtures of other programs say what values they hold.
#pragma once

#include <cstdint>
#include <span>

namespace qasr::testing {

inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t state = ~0u;
  for (const std::byte byte : bytes) {
    state ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ (state & 1 ? 0xEDB88320u : 0u);
  }
  return ~state;
}

}  // namespace qasr::testing
