// The committed test recordings (tools/make_test_audio.sh) as bytes.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace qasr {

inline std::filesystem::path audio_file(const std::string& name) {
  return std::filesystem::path(QASR_SOURCE_DIR) / "tests/data/audio" / name;
}

inline std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return bytes_of(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace qasr
