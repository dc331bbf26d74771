// AVX-512 with VNNI: dot products of four unsigned and four signed bytes. Shared by the instruction sets that build on
// it; compiled with the flags of avx512_float.h and -mavx512vnni.
#pragma once

#include "backend/cpu/isa/avx512_float.h"

namespace qasr::cpu::isa {
namespace {

struct Avx512Vnni : Avx512Float {
  using I = __m512i;
  using W = __m512i;  // unsigned bytes: four depths of 16 features
  using Broadcast = __m512i;
  using X = std::int8_t;
  static constexpr int kDepthGroup = 4;
  static constexpr int kRowGroup = 1;
  static constexpr bool kOffsetWeights = true;
  static constexpr bool kWidensWeights = false;
  static constexpr bool kDotsFromMemory = true;

  static W load_bytes(const std::byte* from) { return _mm512_loadu_si512(from); }
  static W load_low_nibbles(const std::byte* from) { return _mm512_and_si512(load_bytes(from), _mm512_set1_epi8(15)); }
  static W load_high_nibbles(const std::byte* from) {
    return _mm512_and_si512(_mm512_srli_epi16(load_bytes(from), 4), _mm512_set1_epi8(15));
  }
  static W load_w(const std::byte* from) { return _mm512_loadu_si512(from); }
  static void store_w(std::byte* to, W w) { _mm512_storeu_si512(to, w); }

  static I zero_sum() { return _mm512_setzero_si512(); }
  static I broadcast_sum(const std::int32_t* from) { return _mm512_set1_epi32(*from); }
  static Broadcast broadcast_activations(const X* x) {
    std::int32_t four;
    __builtin_memcpy(&four, x, sizeof(four));
    return _mm512_set1_epi32(four);
  }
  // Assembly: around the intrinsic GCC 12 copies the sum from register to register, at half the speed.
  static void dot(I& sum, W w, Broadcast x) { __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x)); }
  static void dot_from(I& sum, W w, const X* x) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*reinterpret_cast<const std::int32_t*>(x)));
  }
  static F sum_to_float(I sum) { return _mm512_cvtepi32_ps(sum); }

  static std::int32_t store_rounded(const F* values, F inverse, X* q) {
    const I low = _mm512_cvtps_epi32(_mm512_mul_ps(values[0], inverse));
    const I high = _mm512_cvtps_epi32(_mm512_mul_ps(values[1], inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtsepi32_epi8(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), _mm512_cvtsepi32_epi8(high));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
  }
};

}  // namespace
}  // namespace qasr::cpu::isa
