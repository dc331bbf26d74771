// Small checkpoints of every format (tools/make_format_fixtures.py).
#pragma once

#include <filesystem>
#include <string>

namespace qasr {

inline std::filesystem::path format_fixture(const std::string& name) {
  return std::filesystem::path(QASR_SOURCE_DIR) / "tests/data/formats" / name;
}

}  // namespace qasr
