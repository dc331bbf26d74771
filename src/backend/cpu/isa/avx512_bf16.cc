// Products of bf16 with bf16 (PairKernels) for AVX-512 with BF16. Compiled with the flags of avx512_float.h and
// -mavx512bf16; reached only through the table.
#include "backend/cpu/isa/avx512_float.h"
#include "backend/cpu/isa/gemm.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

static_assert(Avx512Float::kLanes * 2 == kRoundedRun);

// Two depths a step.
struct PairSteps {
  using Vector = Avx512Float;
  using X = std::uint32_t;
  using Weight = std::uint32_t;
  using Operand = __m512i;
  static void load(const Weight* from, Operand* to) {
#pragma GCC unroll 4
    for (int v = 0; v < Vector::kPanelVectors; ++v) to[v] = _mm512_loadu_si512(from + v * Vector::kLanes);
  }
  static Operand broadcast(const X* from) { return _mm512_set1_epi32(static_cast<int>(*from)); }
  // Assembly: around intrinsics of this kind GCC 12 copies sums from register to register.
  static __m512 multiply_add(Operand x, Operand w, __m512 sum) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
    return sum;
  }
};

void pair_product(const std::uint16_t* x, std::size_t ldx, std::size_t rows, const Panels& panels, float* c,
                  std::size_t ldc, bool accumulate) noexcept {
  const StepPanels<PairSteps> pairs{static_cast<const std::uint32_t*>(panels.data), panels.n_panels,
                                    (panels.depth + 1) / 2, panels.panel_stride / 2};
  stream_panels<PairSteps>(reinterpret_cast<const std::uint32_t*>(x), ldx / 2, rows, pairs, c, ldc, accumulate);
}

void round_pairs(const float* x, std::size_t n, std::uint16_t* y) noexcept {
  for (std::size_t i = 0; i < n; i += kRoundedRun) {
    const __m512 low = _mm512_loadu_ps(x + i), high = _mm512_loadu_ps(x + i + 16);
    const __m512bh both = _mm512_cvtne2ps_pbh(high, low);
    __builtin_memcpy(y + i, &both, sizeof(both));
  }
}

constexpr PairKernels kPairs = {.product = pair_product, .round = round_pairs};

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::PairKernels* const kAvx512Bf16Pairs = &isa::kPairs;

}  // namespace qasr::cpu
