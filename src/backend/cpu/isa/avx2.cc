// AVX2 without integer dot products: 8-bit weights and activations are widened to 16 bits, whose products of pairs fit
// 32. Compiled with -mavx2 -mfma -mf16c; reached only through the table.
#include "backend/cpu/isa/avx2_float.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

struct Avx2 : Avx2Float {
  using I = __m256i;
  using W = __m256i;  // 16 bits: two depths of 8 features
  using Broadcast = __m256i;
  using X = std::int16_t;
  static constexpr int kDepthGroup = 2;
  static constexpr int kRowGroup = 1;
  static constexpr bool kOffsetWeights = false;
  static constexpr bool kWidensWeights = true;
  static constexpr bool kDotsFromMemory = false;
  static constexpr int kQuantRows = 4;  // 8 sums + 2 weights + 1 broadcast + products of 16 registers
  static constexpr int kQuantTemporaries = 6;

  static __m128i load_16(const std::byte* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }
  static W load_bytes(const std::byte* from) { return _mm256_cvtepi8_epi16(load_16(from)); }
  static W load_low_nibbles(const std::byte* from) {
    return _mm256_and_si256(_mm256_cvtepu8_epi16(load_16(from)), _mm256_set1_epi16(15));
  }
  static W load_high_nibbles(const std::byte* from) {
    return _mm256_srli_epi16(_mm256_cvtepu8_epi16(load_16(from)), 4);
  }
  static W load_w(const std::byte* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static void store_w(std::byte* to, W w) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), w); }

  static I zero_sum() { return _mm256_setzero_si256(); }
  static Broadcast broadcast_activations(const X* x) {
    std::int32_t pair;
    __builtin_memcpy(&pair, x, sizeof(pair));
    return _mm256_set1_epi32(pair);
  }
  // The addition as assembly: GCC 12 puts off all additions of a block to its end and keeps the products in memory.
  static void dot(I& sum, W w, Broadcast x) { __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(w, x))); }
  static F sum_to_float(I sum) { return _mm256_cvtepi32_ps(sum); }

  static std::int32_t store_rounded(const F* values, F inverse, X* q) {
    I total = _mm256_setzero_si256();
    for (int v = 0; v < 4; ++v) {
      const I rounded = _mm256_cvtps_epi32(_mm256_mul_ps(values[v], inverse));
      total = _mm256_add_epi32(total, rounded);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 8 * v), narrow(rounded));
    }
    return reduce_add_i32(total);
  }
};

constexpr KernelTable kTable = make_table<Avx2>("avx2");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx2Table = &isa::kTable;

}  // namespace qasr::cpu
