// What the tests of this folder share: small checkpoints built in memory, edited, and the errors they raise.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qasr/error.h"
#include "weights/checkpoint_files.h"

namespace qasr::testing {

/// A directory that disappears with the object.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qasr_weights_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

 private:
  std::filesystem::path path_;
};

inline std::vector<std::byte> to_bytes(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

/// A safetensors file with this header text and `n_data` bytes of data.
inline std::string safetensors_text(const std::string& header, std::size_t n_data) {
  std::string length(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(length.data(), &size, 8);
  return length + header + std::string(n_data, '\1');
}

/// The same files with some replaced, added or (empty optional) removed.
inline CheckpointFiles with_file(const CheckpointFiles& files, const std::string& name,
                                 const std::optional<std::string>& text) {
  std::vector<OwnedFile> owned;
  for (const CheckpointFile& file : files.all()) {
    if (file.name != name) owned.push_back({file.name, {file.bytes.begin(), file.bytes.end()}});
  }
  if (text) owned.push_back({name, to_bytes(*text)});
  return CheckpointFiles::from_owned(std::move(owned), files.where());
}

/// The same files with a JSON file edited.
inline CheckpointFiles with_json(const CheckpointFiles& files, const std::string& name,
                                 const std::function<void(nlohmann::json&)>& edit) {
  nlohmann::json json = nlohmann::json::parse(files.require(name).text());
  edit(json);
  return with_file(files, name, json.dump());
}

/// The same files with the header of a safetensors file edited; data and its offsets stay as they are.
inline CheckpointFiles with_header(const CheckpointFiles& files, const std::string& name,
                                   const std::function<void(nlohmann::json&)>& edit) {
  const std::string_view text = files.require(name).text();
  std::uint64_t length = 0;
  std::memcpy(&length, text.data(), 8);
  nlohmann::json header = nlohmann::json::parse(text.substr(8, length));
  edit(header);
  std::string result = safetensors_text(header.dump(), 0);
  return with_file(files, name, result.append(text.substr(8 + length)));
}

/// The message of the kModel error that `action` must raise.
inline std::string model_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was raised";
  return {};
}

}  // namespace qasr::testing
