// Conversions of the 16-bit floats, against their definition: exact widening, nearest-even narrowing.
#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace qasr {
namespace {

constexpr std::uint32_t kAllPatterns = 1u << 16;

f16 f16_of(std::uint32_t bits) { return {static_cast<std::uint16_t>(bits)}; }

// The value of a binary16 pattern, from the definition of the format.
double f16_value(std::uint32_t bits) {
  const double sign = (bits & 0x8000u) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits >> 10) & 31u), mantissa = static_cast<int>(bits & 1023u);
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

bool is_f16_nan_or_inf(std::uint32_t bits) { return ((bits >> 10) & 31u) == 31u; }

TEST(F16, WideningIsExactForEveryPattern) {
  for (std::uint32_t bits = 0; bits < kAllPatterns; ++bits) {
    if (is_f16_nan_or_inf(bits)) continue;
    ASSERT_EQ(static_cast<double>(to_f32(f16_of(bits))), f16_value(bits)) << bits;
  }
  EXPECT_EQ(to_f32(f16{0x7c00}), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(to_f32(f16{0x7e01})));
}

TEST(F16, NarrowingUndoesWidening) {
  for (std::uint32_t bits = 0; bits < kAllPatterns; ++bits) {
    const bool is_nan = is_f16_nan_or_inf(bits) && (bits & 1023u) != 0;
    if (is_nan) {
      ASSERT_TRUE(std::isnan(to_f32(to_f16(to_f32(f16_of(bits)))))) << bits;
    } else {
      ASSERT_EQ(to_f16(to_f32(f16_of(bits))).bits, bits);
    }
  }
}

TEST(F16, NarrowingRoundsToNearestTiesToEven) {
  // Between each two neighbours: the midpoint goes to the even one, its f32 neighbours to the nearer one.
  for (std::uint32_t bits = 0; bits < 0x7bffu; ++bits) {
    const auto low = static_cast<float>(f16_value(bits)), high = static_cast<float>(f16_value(bits + 1));
    const float middle = (low + high) / 2;  // exact: one bit more than either
    ASSERT_EQ(to_f16(middle).bits, (bits & 1u) != 0 ? bits + 1 : bits) << bits;
    ASSERT_EQ(to_f16(std::nextafter(middle, low)).bits, bits);
    ASSERT_EQ(to_f16(std::nextafter(middle, high)).bits, bits + 1);
    ASSERT_EQ(to_f16(-middle).bits, to_f16(middle).bits | 0x8000u);
  }
}

TEST(F16, NarrowingOverflowsToInfinityAndUnderflowsToZero) {
  EXPECT_EQ(to_f16(65519.996F).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0F).bits, 0x7c00);
  EXPECT_EQ(to_f16(-1e30F).bits, 0xfc00);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::infinity()).bits, 0x7c00);
  EXPECT_EQ(to_f16(0x1p-25F).bits, 0);
  EXPECT_EQ(to_f16(0x1.000002p-25F).bits, 1);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::denorm_min()).bits, 0);
  EXPECT_EQ(to_f16(-0.0F).bits, 0x8000);
}

TEST(Bf16, NarrowingRoundsToNearestTiesToEven) {
  EXPECT_EQ(to_bf16(1.0F).bits, 0x3f80);
  EXPECT_EQ(to_bf16(1.00390625F).bits, 0x3f80);  // 1 + 2^-8: a tie, to even
  EXPECT_EQ(to_bf16(1.01171875F).bits, 0x3f82);  // 1 + 3 * 2^-8: a tie, to even
  EXPECT_EQ(to_bf16(std::nextafter(1.00390625F, 2.0F)).bits, 0x3f81);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(to_f32(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  for (std::uint32_t bits = 0; bits < kAllPatterns; ++bits) {
    const float value = to_f32(bf16{static_cast<std::uint16_t>(bits)});
    if (!std::isnan(value)) {
      ASSERT_EQ(to_bf16(value).bits, bits);
    }
  }
}

// The values of e4m3, from its definition: 2^(e - 7) (1 + m / 8), and 2^-6 m / 8 where e is 0; 480 is no number.
float e4m3_value(int code) {
  const int exponent = code >> 3, mantissa = code & 7;
  return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                       : std::ldexp(1.0f + static_cast<float>(mantissa) / 8, exponent - 7);
}

TEST(E4M3, RoundsToTheNearestValueTiesToEven) {
  constexpr int kLargestCode = 0x7e;
  EXPECT_EQ(e4m3_value(kLargestCode), kLargestE4M3);
  for (int code = 0; code < kLargestCode; ++code) {
    const float low = e4m3_value(code), high = e4m3_value(code + 1), middle = (low + high) / 2;
    const float even = code % 2 == 0 ? low : high;
    for (float sign : {1.0f, -1.0f}) {
      EXPECT_EQ(round_to_e4m3(sign * low), sign * low) << code;
      EXPECT_EQ(round_to_e4m3(sign * middle), sign * even) << code;
      EXPECT_EQ(round_to_e4m3(sign * std::nextafter(middle, 0.0f)), sign * low) << code;
      EXPECT_EQ(round_to_e4m3(sign * std::nextafter(middle, 1000.0f)), sign * high) << code;
    }
  }
  EXPECT_EQ(round_to_e4m3(449), kLargestE4M3);
  EXPECT_EQ(round_to_e4m3(-std::numeric_limits<float>::infinity()), -kLargestE4M3);
  EXPECT_TRUE(std::isnan(round_to_e4m3(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace qasr
