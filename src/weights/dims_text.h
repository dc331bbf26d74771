// Dimensions as messages show them: "[3, 128]".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qasr {

inline std::string dims_text(const std::vector<std::int64_t>& dims) {
  std::string text;
  for (std::int64_t dim : dims) text += (text.empty() ? "" : ", ") + std::to_string(dim);
  return "[" + text + "]";
}

}  // namespace qasr
