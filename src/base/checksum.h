// A 64-bit checksum against damage, not against an attacker: as fast as memory, any change of a single word is found.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace qasr {

/// Four chains, each fed every fourth 8-byte word (little-endian, the end padded with zeros): a chain's step
/// h -> (h ^ word) * odd constant, high bits folded onto low ones, is one-to-one in h and in word. The length is mixed
/// in at the end.
inline std::uint64_t checksum(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio, odd
  constexpr std::size_t kChains = 4, kStride = kChains * sizeof(std::uint64_t);
  const auto step = [](std::uint64_t h, std::uint64_t word) {
    const std::uint64_t product = (h ^ word) * kMultiplier;
    return product ^ product >> 29;
  };
  std::array<std::uint64_t, kChains> chains = {1, 2, 3, 4};
  std::array<std::uint64_t, kChains> words;
  std::size_t position = 0;
  for (; position + kStride <= bytes.size(); position += kStride) {
    std::memcpy(words.data(), bytes.data() + position, kStride);
    for (std::size_t c = 0; c < kChains; ++c) chains[c] = step(chains[c], words[c]);
  }
  words = {};
  if (position < bytes.size()) std::memcpy(words.data(), bytes.data() + position, bytes.size() - position);
  std::uint64_t total = bytes.size();
  for (std::size_t c = 0; c < kChains; ++c) total = step(total, step(chains[c], words[c]));
  return total ^ total >> 32;
}

}  // namespace qasr
