// AVX2 with AVX-VNNI: dot products of four unsigned and four signed bytes. Compiled with -mavx2 -mfma -mf16c -mavxvnni;
// reached only through the table.
#include "backend/cpu/isa/avx2_float.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

struct Avx2Vnni : Avx2Float {
  using I = __m256i;
  using W = __m256i;  // unsigned bytes: four depths of 8 features
  using Broadcast = __m256i;
  using X = std::int8_t;
  static constexpr int kDepthGroup = 4;
  static constexpr int kRowGroup = 1;
  static constexpr bool kOffsetWeights = true;
  static constexpr bool kWidensWeights = false;
  static constexpr bool kDotsFromMemory = false;
  static constexpr int kQuantRows = 5;  // 10 sums + 2 weights + 1 broadcast of 16 registers
  static constexpr int kQuantTemporaries = 5;

  static W load_bytes(const std::byte* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static W load_low_nibbles(const std::byte* from) { return _mm256_and_si256(load_bytes(from), _mm256_set1_epi8(15)); }
  static W load_high_nibbles(const std::byte* from) {
    return _mm256_and_si256(_mm256_srli_epi16(load_bytes(from), 4), _mm256_set1_epi8(15));
  }
  static W load_w(const std::byte* from) { return load_bytes(from); }
  static void store_w(std::byte* to, W w) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), w); }

  static I zero_sum() { return _mm256_setzero_si256(); }
  static I broadcast_sum(const std::int32_t* from) { return _mm256_set1_epi32(*from); }
  static Broadcast broadcast_activations(const X* x) {
    std::int32_t four;
    __builtin_memcpy(&four, x, sizeof(four));
    return _mm256_set1_epi32(four);
  }
  // Assembly: around the intrinsic GCC 12 copies the sum from register to register.
  static void dot(I& sum, W w, Broadcast x) { __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(x)); }
  static F sum_to_float(I sum) { return _mm256_cvtepi32_ps(sum); }

  static std::int32_t store_rounded(const F* values, F inverse, X* q) {
    I total = _mm256_setzero_si256();
    for (int v = 0; v < 4; ++v) {
      const I rounded = _mm256_cvtps_epi32(_mm256_mul_ps(values[v], inverse));
      total = _mm256_add_epi32(total, rounded);
      const __m128i words = narrow(rounded);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(q + 8 * v), _mm_packs_epi16(words, words));
    }
    return reduce_add_i32(total);
  }
};

constexpr KernelTable kTable = make_table<Avx2Vnni>("avx2-vnni");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx2VnniTable = &isa::kTable;

}  // namespace qasr::cpu
