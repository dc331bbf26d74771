// AVX-512 without integer dot products: 8-bit weights and activations are widened to 16 bits, whose products of pairs
// fit 32. Compiled with the flags of avx512_float.h; reached only through the table.
#include "backend/cpu/isa/avx512_float.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

struct Avx512 : Avx512Float {
  using I = __m512i;
  using W = __m512i;  // 16 bits: two depths of 16 features
  using Broadcast = __m512i;
  using X = std::int16_t;
  static constexpr int kDepthGroup = 2;
  static constexpr int kRowGroup = 1;
  static constexpr bool kOffsetWeights = false;
  static constexpr bool kWidensWeights = true;
  static constexpr bool kDotsFromMemory = false;

  static __m256i load_32(const std::byte* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static W load_bytes(const std::byte* from) { return _mm512_cvtepi8_epi16(load_32(from)); }
  static W load_low_nibbles(const std::byte* from) {
    return _mm512_and_si512(_mm512_cvtepu8_epi16(load_32(from)), _mm512_set1_epi16(15));
  }
  static W load_high_nibbles(const std::byte* from) {
    return _mm512_srli_epi16(_mm512_cvtepu8_epi16(load_32(from)), 4);
  }
  static W load_w(const std::byte* from) { return _mm512_loadu_si512(from); }
  static void store_w(std::byte* to, W w) { _mm512_storeu_si512(to, w); }

  static I zero_sum() { return _mm512_setzero_si512(); }
  static Broadcast broadcast_activations(const X* x) {
    std::int32_t pair;
    __builtin_memcpy(&pair, x, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  // The addition as assembly: GCC 12 puts off all additions of a block to its end and keeps the products in memory.
  static void dot(I& sum, W w, Broadcast x) { __asm__("vpaddd %1, %0, %0" : "+v"(sum) : "v"(_mm512_madd_epi16(w, x))); }
  static F sum_to_float(I sum) { return _mm512_cvtepi32_ps(sum); }

  static std::int32_t store_rounded(const F* values, F inverse, X* q) {
    const I low = _mm512_cvtps_epi32(_mm512_mul_ps(values[0], inverse));
    const I high = _mm512_cvtps_epi32(_mm512_mul_ps(values[1], inverse));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm512_cvtsepi32_epi16(low));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + 16), _mm512_cvtsepi32_epi16(high));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
  }
};

constexpr KernelTable kTable = make_table<Avx512>("avx512");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx512Table = &isa::kTable;

}  // namespace qasr::cpu
