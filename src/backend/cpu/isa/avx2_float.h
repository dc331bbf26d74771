// AVX2, FMA and F16C: 16 registers of 8 floats. Shared by the instruction sets that build on them.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace qasr::cpu::isa {
namespace {

// -1 in the first `count` lanes from kMask + 8 - count on.
alignas(64) constexpr std::int32_t kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Avx2Float {
  using F = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kPanelVectors = 2;
  static constexpr int kTileRows = 6;  // 12 sums + 2 weights + 1 broadcast of 16 registers
  static constexpr int kAccumulators = 12;
  static constexpr std::size_t kDepthBlock = 256;  // a widened panel block of 16 KiB: half the L1 cache
  static constexpr int kRegisters = 16;

  static F load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, F value) { _mm256_storeu_ps(to, value); }
  static F broadcast(const float* from) { return _mm256_broadcast_ss(from); }
  static F set(float value) { return _mm256_set1_ps(value); }
  static F zero() { return _mm256_setzero_ps(); }
  static void load_bf16_pair(const std::uint16_t* from, F& low, F& high) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    low = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
    high = _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static __m256i mask(std::size_t count) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + 8 - count));
  }
  static F load_n(const float* from, std::size_t count) { return _mm256_maskload_ps(from, mask(count)); }
  static void store_n(float* to, F value, std::size_t count) { _mm256_maskstore_ps(to, mask(count), value); }
  static F first(F value, std::size_t count) { return _mm256_and_ps(value, _mm256_castsi256_ps(mask(count))); }

  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }  // b where either is NaN
  static F max(F a, F b) { return _mm256_max_ps(a, b); }  // b where either is NaN
  static F select_less(F a, F b, F yes, F no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
  static F round(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F pow2(F n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static float reduce_add(F x) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float reduce_max(F x) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  static F load_f16(const std::uint16_t* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static F load_bf16(const std::uint16_t* from) {
    const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
  }
  static F abs(F x) { return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff))); }
  static F max_bits(F a, F b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
  }
  static std::int32_t reduce_max_bits(F x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
    const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  static std::int32_t reduce_add_i32(__m256i x) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  // Eight integers of 32 bits to 16, saturating.
  static __m128i narrow(__m256i x) {
    return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  }
};

}  // namespace
}  // namespace qasr::cpu::isa
