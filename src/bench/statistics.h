// Summaries of repeated measurements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/check.h"

namespace qasr::bench {

/// The middle value, or the mean of the two middle ones. At least one value.
inline double median(std::vector<double> values) {
  QASR_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

}  // namespace qasr::bench
