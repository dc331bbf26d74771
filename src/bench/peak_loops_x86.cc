// Peak loops of x86-64. Twelve sums cover the latency of two instructions per cycle on every core so far (4 to 6
// cycles).
#include <cpuid.h>

#include <cstdint>

#include "base/cpu_features.h"
#include "bench/peak_loops.h"

namespace qasr::bench {
namespace {

constexpr double kSums = 12;

#define QASR_EACH_SUM(STEP) \
  STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)
#define QASR_ZERO_STEP(sum) "vpxor %%xmm" #sum ", %%xmm" #sum ", %%xmm" #sum "\n"

// The operands are 0x3F01 in every 16 bits: 0.5 as bf16 and as f32, small as bytes and as words. Products of zero would
// take less power than real ones and let the clock rise.
#define QASR_PEAK_LOOP(name, features, reg, STEP)                                                                      \
  __attribute__((target(features))) void name(std::size_t n) noexcept {                                                \
    const std::uint32_t operand = 0x3F013F01;                                                                          \
    asm volatile("vbroadcastss %[operand], %%" reg "12\n"                                                            \
                 "vbroadcastss %[operand], %%" reg "13\n" QASR_EACH_SUM(QASR_ZERO_STEP)                              \
                 "1:\n" QASR_EACH_SUM(STEP)                                                                          \
                 "dec %[n]\n"                                                                                        \
                 "jnz 1b\n"                                                                                          \
                 "vzeroupper\n"                                                                                      \
                 : [n] "+r"(n)                                                                                       \
                 : [operand] "m"(operand)                                                                            \
                 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",    \
                   "xmm11", "xmm12", "xmm13", "xmm14"); \
  }

#define QASR_FMA_YMM(sum) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #sum "\n"
#define QASR_FMA_ZMM(sum) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #sum "\n"
#define QASR_BF16_ZMM(sum) "vdpbf16ps %%zmm12, %%zmm13, %%zmm" #sum "\n"
#define QASR_INT8_ZMM(sum) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #sum "\n"
#define QASR_INT8_YMM(sum) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #sum "\n"
#define QASR_INT16_YMM(sum) "vpmaddwd %%ymm12, %%ymm13, %%ymm14\nvpaddd %%ymm14, %%ymm" #sum ", %%ymm" #sum "\n"

QASR_PEAK_LOOP(fma_avx2, "avx2,fma", "ymm", QASR_FMA_YMM)
QASR_PEAK_LOOP(fma_avx512, "avx512f", "zmm", QASR_FMA_ZMM)
QASR_PEAK_LOOP(bf16_avx512, "avx512bf16", "zmm", QASR_BF16_ZMM)
QASR_PEAK_LOOP(int8_avx512, "avx512vnni", "zmm", QASR_INT8_ZMM)
QASR_PEAK_LOOP(int8_avxvnni, "avxvnni", "ymm", QASR_INT8_YMM)
QASR_PEAK_LOOP(int16_avx2, "avx2", "ymm", QASR_INT16_YMM)

#define QASR_READ_LOOP(name, features, width)                                                        \
  __attribute__((target(features))) void name(const std::byte* data, std::size_t n_bytes) noexcept { \
    typedef std::uint64_t Words __attribute__((vector_size(width)));                                 \
    const auto* words = reinterpret_cast<const Words*>(data);                                        \
    Words sums[8] = {};                                                                              \
    for (std::size_t i = 0; i < n_bytes / width; i += 8) {                                           \
      _Pragma("GCC unroll 8") for (std::size_t sum = 0; sum < 8; ++sum) sums[sum] += words[i + sum]; \
    }                                                                                                \
    asm volatile("" : : "m"(sums)); /* used, as far as the compiler knows */                         \
  }

QASR_READ_LOOP(read_16, "sse2", 16)
QASR_READ_LOOP(read_32, "avx2", 32)
QASR_READ_LOOP(read_64, "avx512f", 64)

// AVX512_BF16 by CPUID leaf 7.
bool has_avx512_bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 5 & 1) != 0;
}

}  // namespace

ReadLoop read_loop() {
  const CpuFeatures cpu = cpu_features();
  return cpu.avx512 ? read_64 : cpu.avx2 ? read_32 : read_16;
}

PeakLoops peak_loops() {
  const CpuFeatures cpu = cpu_features();
  PeakLoops loops;
  if (cpu.avx2) {
    loops.f32 = {"vfmadd231ps ymm", fma_avx2, kSums * 8};
    loops.int8 = cpu.avx2_vnni ? PeakLoop{"vpdpbusd ymm", int8_avxvnni, kSums * 32}
                               : PeakLoop{"vpmaddwd ymm (16-bit)", int16_avx2, kSums * 16};
  }
  if (cpu.avx512) {
    loops.f32 = {"vfmadd231ps zmm", fma_avx512, kSums * 16};
    if (has_avx512_bf16()) loops.bf16 = {"vdpbf16ps zmm", bf16_avx512, kSums * 32};
    if (cpu.avx512_vnni) loops.int8 = {"vpdpbusd zmm", int8_avx512, kSums * 64};
  }
  return loops;
}

}  // namespace qasr::bench
