// Another architecture: no peak is known, and no product is judged against one.
#include "bench/peak_loops.h"

#include <cstdint>

namespace qasr::bench {
namespace {

// Vectors of 16 bytes are the widest that every machine of this kind has.
void read_16(const std::byte* data, std::size_t n_bytes) noexcept {
  typedef std::uint64_t Words __attribute__((vector_size(16)));
  const auto* words = reinterpret_cast<const Words*>(data);
  Words sums[8] = {};
  for (std::size_t i = 0; i < n_bytes / sizeof(Words); i += 8) {
#pragma GCC unroll 8
    for (std::size_t sum = 0; sum < 8; ++sum) sums[sum] += words[i + sum];
  }
  asm volatile("" : : "m"(sums));  // used, as far as the compiler knows
}

}  // namespace

ReadLoop read_loop() { return read_16; }

PeakLoops peak_loops() { return {}; }

}  // namespace qasr::bench
