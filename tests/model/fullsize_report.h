// Lines of qasr_fullsize_check: what was found, its limit, whether it holds.
#pragma once

#include <cstddef>
#include <cstdio>

namespace qasr::testing {

class Report {
 public:
  void error(const char* what, double found, double limit) {
    const bool is_good = found <= limit;  // false for NaN
    std::printf("  %-28s %.2e  limit %.0e  %s\n", what, found, limit, is_good ? "ok" : "FAILED");
    passed_ = passed_ && is_good;
  }
  void count(const char* what, std::size_t found, std::size_t expected) {
    std::printf("  %-28s %zu of %zu  %s\n", what, found, expected, found == expected ? "ok" : "FAILED");
    passed_ = passed_ && found == expected;
  }
  bool passed() const { return passed_; }

 private:
  bool passed_ = true;
};

}  // namespace qasr::testing
