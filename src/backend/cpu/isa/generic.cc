// Plain C++ on vectors of four floats, which every compiler turns into the baseline of its architecture (SSE2, NEON).
// A multiply-add is two roundings here, on every machine: the file is compiled without contraction.
#include "backend/cpu/isa/float_dots.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

// Vectors of the GCC and Clang languages: element-wise operators, comparisons give 0 or -1.
typedef float F4 __attribute__((vector_size(16)));
typedef std::int32_t I4 __attribute__((vector_size(16)));
typedef std::int16_t H8 __attribute__((vector_size(16)));
typedef std::int8_t B16 __attribute__((vector_size(16)));

template <typename To, typename From>
inline To bits_of(From from) {
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

struct GenericFloat {
  using F = F4;
  static constexpr int kLanes = 4;
  static constexpr int kPanelVectors = 2;
  static constexpr int kTileRows = 4;  // 8 sums + 2 weights + 1 broadcast + products of 16 registers
  static constexpr int kAccumulators = 8;
  static constexpr int kRegisters = 16, kQuantRows = 4, kQuantTemporaries = 6;
  static constexpr std::size_t kDepthBlock = 256;  // a widened panel block of 8 KiB

  static F load(const float* from) {
    F value;
    __builtin_memcpy(&value, from, sizeof(value));
    return value;
  }
  static void store(float* to, F value) { __builtin_memcpy(to, &value, sizeof(value)); }
  static F set(float value) { return F{value, value, value, value}; }
  static F broadcast(const float* from) { return set(*from); }
  static F zero() { return F{}; }
  static void load_bf16_pair(const std::uint16_t* from, F& low, F& high) {
    I4 words;
    __builtin_memcpy(&words, from, sizeof(words));
    low = bits_of<F>(words << 16);
    high = bits_of<F>(words & static_cast<std::int32_t>(0xffff0000u));
  }
  static F load_n(const float* from, std::size_t count) {
    F value{};
    for (std::size_t i = 0; i < count; ++i) value[i] = from[i];
    return value;
  }
  static void store_n(float* to, F value, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) to[i] = value[i];
  }
  static F first(F value, std::size_t count) {
    for (std::size_t i = count; i < kLanes; ++i) value[i] = 0.0f;
    return value;
  }

  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F div(F a, F b) { return a / b; }
  static F fma(F a, F b, F c) { return a * b + c; }
  static F select(I4 mask, F yes, F no) { return bits_of<F>((bits_of<I4>(yes) & mask) | (bits_of<I4>(no) & ~mask)); }
  static F min(F a, F b) { return select(a < b, a, b); }  // b where either is NaN
  static F max(F a, F b) { return select(a > b, a, b); }  // b where either is NaN
  static F select_less(F a, F b, F yes, F no) { return select(a < b, yes, no); }
  // Adding 1.5 * 2^23 leaves no fraction bits: rounds to nearest for |x| < 2^22.
  static F round(F x) {
    const F magic = set(12582912.0f);
    return (x + magic) - magic;
  }
  static F pow2(F n) {
    // The low bits of n + 1.5 * 2^23 are the integer n.
    const I4 integer = bits_of<I4>(n + set(12582912.0f)) - 0x4b400000;
    return bits_of<F>((integer + 127) << 23);
  }
  static float reduce_add(F x) { return (x[0] + x[2]) + (x[1] + x[3]); }
  static float reduce_max(F x) {
    const float low = x[0] > x[1] ? x[0] : x[1], high = x[2] > x[3] ? x[2] : x[3];
    return low > high ? low : high;
  }

  static F load_bf16(const std::uint16_t* from) {
    const I4 words = {from[0], from[1], from[2], from[3]};
    return bits_of<F>(words << 16);
  }
  // The exponent and mantissa of an f16 in the place of an f32's are its value times 2^-112, subnormals included.
  static F load_f16(const std::uint16_t* from) {
    const I4 words = {from[0], from[1], from[2], from[3]};
    const F magnitude = bits_of<F>((words & 0x7fff) << 13) * set(0x1p112f);
    const I4 not_finite = ((words & 0x7c00) == 0x7c00) & 0x7f800000;
    return bits_of<F>(bits_of<I4>(magnitude) | not_finite | ((words & 0x8000) << 16));
  }
  static F abs(F x) { return bits_of<F>(bits_of<I4>(x) & 0x7fffffff); }
  static F max_bits(F a, F b) {
    const I4 left = bits_of<I4>(a), right = bits_of<I4>(b), greater = left > right;
    return bits_of<F>((left & greater) | (right & ~greater));
  }
  static std::int32_t reduce_max_bits(F x) {
    const I4 bits = bits_of<I4>(x);
    const std::int32_t low = bits[0] > bits[1] ? bits[0] : bits[1], high = bits[2] > bits[3] ? bits[2] : bits[3];
    return low > high ? low : high;
  }
};

struct Generic : WithFloatDots<GenericFloat> {
  // Every byte four times, in a lane of its own.
  static I4 load_4(const std::byte* from) {
    B16 bytes{};
    __builtin_memcpy(&bytes, from, 4);
    const H8 twice = bits_of<H8>(__builtin_shufflevector(bytes, bytes, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7));
    return bits_of<I4>(__builtin_shufflevector(twice, twice, 0, 0, 1, 1, 2, 2, 3, 3));
  }
  static W load_bytes(const std::byte* from) { return __builtin_convertvector(load_4(from) >> 24, F); }
  static W load_low_nibbles(const std::byte* from) { return __builtin_convertvector(load_4(from) & 15, F); }
  static W load_high_nibbles(const std::byte* from) { return __builtin_convertvector(load_4(from) >> 4 & 15, F); }
};

constexpr KernelTable kTable = make_table<Generic>("generic");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kGenericTable = &isa::kTable;

}  // namespace qasr::cpu
