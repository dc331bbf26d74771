// Element types of tensors, and the two 16-bit floats as scalars.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace qasr {

enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBf16,
  kI32,
  kU32,
  kI8,
  kU8,
  kF8E4M3,  ///< one byte, 4 bits of exponent and 3 of mantissa, without infinities
  /// Rows of a matrix rounded to 8-bit blocks of 32 with their scales, in a layout of the backend's own: only its
  /// operations read and write them. Reserved as f32 in whole blocks (tensor_bytes), rows as close as the backend likes.
  kQ8Rows
};

constexpr std::size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
    case DType::kU32:
    case DType::kQ8Rows:
      return 4;
    case DType::kF16:
    case DType::kBf16:
      return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kF8E4M3:
      return 1;
  }
  return 0;
}

/// "f32", "bf16", ...
constexpr std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBf16:
      return "bf16";
    case DType::kI32:
      return "i32";
    case DType::kU32:
      return "u32";
    case DType::kI8:
      return "i8";
    case DType::kU8:
      return "u8";
    case DType::kQ8Rows:
      return "q8 rows";
    case DType::kF8E4M3:
      return "f8e4m3";
  }
  return "?";
}

/// The upper half of an f32.
struct bf16 {
  std::uint16_t bits;
};

constexpr float to_f32(bf16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }

/// Round to nearest, ties to even; NaN stays NaN.
constexpr bf16 to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

/// IEEE binary16.
struct f16 {
  std::uint16_t bits;
};

constexpr float to_f32(f16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  std::uint32_t exponent = (value.bits >> 10) & 0x1fu;
  std::uint32_t mantissa = value.bits & 0x3ffu;
  if (exponent == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign);
    exponent = 1;
    while ((mantissa & 0x400u) == 0) {
      mantissa <<= 1;
      --exponent;  // wraps below zero on purpose; only exponent + 112 is used
    }
    mantissa &= 0x3ffu;
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

/// Round to nearest, ties to even; 65,520 and above become infinity, NaN stays NaN.
constexpr f16 to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  const auto with_sign = [&](std::uint32_t rest) { return f16{static_cast<std::uint16_t>(sign | rest)}; };
  if (magnitude > 0x7f800000u) return with_sign(0x7e00u);
  if (magnitude >= 0x477ff000u) return with_sign(0x7c00u);
  if (magnitude >= 0x38800000u) {  // at least 2^-14: normal in both formats, the exponent's bias goes from 127 to 15
    return with_sign((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13);
  }
  const std::uint32_t shift = 126u - (magnitude >> 23);  // of the 24-bit significand, to count units of 2^-24
  if (shift > 24) return with_sign(0);
  const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u, half = 1u << (shift - 1);
  const std::uint32_t units = significand >> shift, rest = significand & (2 * half - 1);
  return with_sign(units + (rest > half || (rest == half && (units & 1u)) ? 1u : 0u));
}

inline constexpr float kLargestE4M3 = 448;

/// The nearest value that e4m3 has, ties to even; saturates, and NaN stays NaN.
/// Source: arXiv:2209.05433.
inline float round_to_e4m3(float value) {
  if (std::isnan(value)) return value;
  const float magnitude = std::fabs(value);
  if (magnitude >= kLargestE4M3) return std::copysign(kLargestE4M3, value);
  constexpr float kSmallestNormal = 1.0f / 64;
  const float step = magnitude < kSmallestNormal ? kSmallestNormal / 8 : std::ldexp(1.0f, std::ilogb(magnitude) - 3);
  return std::copysign(std::nearbyint(magnitude / step) * step, value);
}

}  // namespace qasr
