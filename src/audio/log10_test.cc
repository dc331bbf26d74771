#include "audio/log10.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace qasr {
namespace {

TEST(Log10Positive, IsExactAtTheEnergyFloor) { EXPECT_EQ(log10_positive(1e-10f), -10.0f); }

TEST(Log10Positive, IsExactAtOne) { EXPECT_EQ(log10_positive(1.0f), 0.0f); }

// 1.7 million values spread over every exponent of normal floats.
TEST(Log10Positive, AgreesWithDoublePrecisionOverAllExponents) {
  const auto first = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::min());
  const auto last = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::max());
  double worst_ulp = 0, worst_absolute = 0;
  for (std::uint32_t bits = first; bits <= last; bits += 1237) {
    const auto x = std::bit_cast<float>(bits);
    const double exact = std::log10(static_cast<double>(x));
    const double error = std::abs(log10_positive(x) - exact);
    if (std::abs(exact) < 0.5) {
      worst_absolute = std::max(worst_absolute, error);
    } else {
      const auto magnitude = static_cast<float>(std::abs(exact));
      worst_ulp = std::max(worst_ulp, error / (std::nextafter(magnitude, 100.0f) - magnitude));
    }
  }
  EXPECT_LE(worst_ulp, 1.1);
  EXPECT_LE(worst_absolute, 5e-8);
}

}  // namespace
}  // namespace qasr
