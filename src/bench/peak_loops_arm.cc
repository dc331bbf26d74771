// Peak loops of AArch64. Sixteen sums cover the latency of four instructions per cycle (4 cycles).
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include <cstdint>

#include "bench/peak_loops.h"

namespace qasr::bench {
namespace {

constexpr double kSums = 16;

#define QASR_EACH_SUM(STEP) \
  STEP(0)                   \
  STEP(1)                   \
  STEP(2)                   \
  STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(16) STEP(17) STEP(18) STEP(19) STEP(20) STEP(21) STEP(22) STEP(23)
#define QASR_ZERO_STEP(sum) "movi v" #sum ".4s, #0\n"

// Operands as in the loops of x86-64: small, and not zero.
#define QASR_PEAK_LOOP(name, STEP)                                                                                    \
  void name(std::size_t n) noexcept {                                                                                 \
    const std::uint32_t operand = 0x3F013F01;                                                                         \
    asm volatile("dup v24.4s, %w[operand]\n"                                                                          \
                 "dup v25.4s, %w[operand]\n" QASR_EACH_SUM(QASR_ZERO_STEP)                                            \
                 "1:\n" QASR_EACH_SUM(STEP)                                                                           \
                 "subs %[n], %[n], #1\n"                                                                              \
                 "b.ne 1b\n"                                                                                          \
                 : [n] "+r"(n)                                                                                        \
                 : [operand] "r"(operand)                                                                             \
                 : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",    \
                   "v22", "v23", "v24", "v25");                                                                       \
  }

#define QASR_FMA(sum) "fmla v" #sum ".4s, v24.4s, v25.4s\n"
#define QASR_INT8(sum) "sdot v" #sum ".4s, v24.16b, v25.16b\n"

QASR_PEAK_LOOP(fma_neon, QASR_FMA)
QASR_PEAK_LOOP(int8_dotprod, QASR_INT8)

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

PeakLoops peak_loops() {
  PeakLoops loops;
  loops.f32 = {"fmla 4s", fma_neon, kSums * 4};
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) loops.int8 = {"sdot 4s", int8_dotprod, kSums * 16};
  return loops;
}

}  // namespace qasr::bench
