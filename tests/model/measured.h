// Comparisons that remember the largest error of each kind and print it when the program ends: what docs/fidelity.md
// records.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

namespace qasr::testing {

inline std::map<std::string, double>& largest_errors() {
  static std::map<std::string, double> errors;
  return errors;
}

/// EXPECT_LE(error, limit), remembered under `what`.
inline void expect_within(const std::string& what, double error, double limit, const std::string& where) {
  double& largest = largest_errors()[what];
  largest = std::max(largest, error);
  EXPECT_LE(error, limit) << what << ", " << where;
}

class PrintLargestErrors : public ::testing::Environment {
 public:
  void TearDown() override {
    for (const auto& [what, error] : largest_errors()) std::printf("largest error, %-32s %.2e\n", what.c_str(), error);
  }
};

inline const auto* const kPrintLargestErrors = ::testing::AddGlobalTestEnvironment(new PrintLargestErrors);

}  // namespace qasr::testing
