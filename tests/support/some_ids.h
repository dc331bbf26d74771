// Deterministic token ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qasr {

/// Below 1500: text of the demonstration model's vocabulary, no audio placeholder.
inline std::vector<std::int32_t> some_ids(std::size_t n, std::uint32_t seed) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < n; ++i) {
    seed = seed * 1664525U + 1013904223U;
    ids.push_back(static_cast<std::int32_t>((seed >> 8) % 1500));
  }
  return ids;
}

}  // namespace qasr
