// Invariants of qasr itself. Bad input is never reported through these.
#pragma once

#include <sstream>
#include <string>

#include "qasr/error.h"

namespace qasr {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line, const std::string& detail) {
  std::ostringstream message;
  message << "internal: " << expression << " does not hold at " << file << ":" << line;
  if (!detail.empty()) message << " (" << detail << ")";
  throw Error(ErrorCode::kInternal, message.str());
}

}  // namespace qasr

// Throws Error(kInternal) with the expression and its place.
#define QASR_CHECK(condition)                                                        \
  do {                                                                               \
    if (!(condition)) ::qasr::check_failed(#condition, __FILE__, __LINE__, {});      \
  } while (false)
#define QASR_CHECK_MSG(condition, detail)                                            \
  do {                                                                               \
    if (!(condition)) ::qasr::check_failed(#condition, __FILE__, __LINE__, detail);  \
  } while (false)
