// AVX-512 F, BW, VL and DQ: 32 registers of 16 floats. Shared by the instruction sets that build on them.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace qasr::cpu::isa {
namespace {

struct Avx512Float {
  using F = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kPanelVectors = 2;
  static constexpr int kTileRows = 12;  // 24 sums + 2 weights; broadcasts are memory operands
  static constexpr int kAccumulators = 24;
  static constexpr int kRegisters = 32, kQuantRows = 6, kQuantTemporaries = 8;  // 12 integer and 12 f32 sums
  static constexpr std::size_t kDepthBlock = 192;  // a widened panel block of 24 KiB: half the L1 cache

  static F load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, F value) { _mm512_storeu_ps(to, value); }
  static F broadcast(const float* from) { return _mm512_set1_ps(*from); }
  static F set(float value) { return _mm512_set1_ps(value); }
  static F zero() { return _mm512_setzero_ps(); }
  static void load_bf16_pair(const std::uint16_t* from, F& low, F& high) {
    const __m512i words = _mm512_loadu_si512(from);
    low = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
    high = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static __mmask16 mask(std::size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
  static F load_n(const float* from, std::size_t count) { return _mm512_maskz_loadu_ps(mask(count), from); }
  static void store_n(float* to, F value, std::size_t count) { _mm512_mask_storeu_ps(to, mask(count), value); }
  static F first(F value, std::size_t count) { return _mm512_maskz_mov_ps(mask(count), value); }

  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }  // b where either is NaN
  static F max(F a, F b) { return _mm512_max_ps(a, b); }  // b where either is NaN
  static F select_less(F a, F b, F yes, F no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
  }
  static F round(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F pow2(F n) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
  }
  // Halves added or compared, then halves of those: a fixed order, unlike the compiler's own reduction.
  static float reduce_add(F x) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float reduce_max(F x) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  static F load_f16(const std::uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static F load_bf16(const std::uint16_t* from) {
    const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  }
  static F abs(F x) { return _mm512_and_ps(x, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff))); }
  static F max_bits(F a, F b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
  static std::int32_t reduce_max_bits(F x) { return _mm512_reduce_max_epi32(_mm512_castps_si512(x)); }
};

}  // namespace
}  // namespace qasr::cpu::isa
