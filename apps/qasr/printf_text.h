// One line of printed values.
#pragma once

#include <cstdio>
#include <string>

namespace qasr::app {

/// As printf, up to 255 bytes.
template <typename... Values>
std::string printf_text(const char* pattern, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

}  // namespace qasr::app
