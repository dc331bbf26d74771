// See checkpoint_files.h. Decides which files of a directory belong to a checkpoint; reads none of them.
#include "weights/checkpoint_files.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "qasr/error.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxListedNames = 12;

bool belongs_to_checkpoint(const fs::path& name) {
  return name.extension() == ".json" || name.extension() == ".safetensors" || name == "merges.txt";
}

// "a, b, c and 4 more", or "nothing".
std::string list_names(std::span<const std::string> names) {
  if (names.empty()) return "nothing";
  const std::size_t shown = std::min(names.size(), kMaxListedNames);
  std::string text;
  for (const std::string& name : names.first(shown)) text += (text.empty() ? "" : ", ") + name;
  if (shown < names.size()) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

// The names in a directory, sorted. Throws for whatever is not a readable directory.
std::vector<std::string> names_in(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (!fs::exists(status)) {
    const std::string reason = error ? error.message() : "it does not exist";
    throw Error(ErrorCode::kModel, "cannot open model directory " + directory.string() + ": " + reason);
  }
  if (!fs::is_directory(status)) {
    throw Error(ErrorCode::kModel, "cannot open model directory " + directory.string() +
                                       ": it is a file, expected a directory with config.json and *.safetensors");
  }
  std::vector<std::string> names;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    throw Error(ErrorCode::kModel, "cannot list model directory " + directory.string() + ": " + error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

CheckpointFiles CheckpointFiles::open_directory(const fs::path& directory) {
  const std::vector<std::string> names = names_in(directory);
  if (!std::binary_search(names.begin(), names.end(), "config.json")) {
    throw Error(ErrorCode::kModel, "config.json not found in model directory " + directory.string() +
                                       ", which holds: " + list_names(names));
  }
  CheckpointFiles result;
  result.where_ = directory.string();
  for (const std::string& name : names) {
    const fs::path path = directory / name;
    std::error_code ignored;  // an unreadable file is reported by MappedFile
    if (!belongs_to_checkpoint(name) || (name != "config.json" && fs::is_directory(path, ignored))) continue;
    result.mappings_.emplace_back(path);
    const MappedFile& file = result.mappings_.back();
    result.files_.push_back({.name = name, .bytes = file.bytes(), .modified_ns = file.modified_ns()});
  }
  return result;
}

CheckpointFiles CheckpointFiles::from_memory(std::vector<CheckpointFile> files, std::string where) {
  CheckpointFiles result;
  result.files_ = std::move(files);
  result.where_ = std::move(where);
  for (auto file = result.files_.begin(); file != result.files_.end(); ++file) {
    const auto same_name = [&](const CheckpointFile& other) { return other.name == file->name; };
    if (std::any_of(result.files_.begin(), file, same_name)) {
      throw Error(ErrorCode::kModel, "file " + file->name + " is given twice in " + result.where_);
    }
  }
  return result;
}

CheckpointFiles CheckpointFiles::from_owned(std::vector<OwnedFile> files, std::string where) {
  std::vector<CheckpointFile> borrowed;
  for (const OwnedFile& file : files) borrowed.push_back({.name = file.name, .bytes = file.bytes});
  CheckpointFiles result = from_memory(std::move(borrowed), std::move(where));
  for (OwnedFile& file : files) result.owned_.push_back(std::move(file.bytes));  // the bytes stay where they are
  return result;
}

const CheckpointFile* CheckpointFiles::find(std::string_view name) const {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const auto& file) { return file.name == name; });
  return found == files_.end() ? nullptr : &*found;
}

const CheckpointFile& CheckpointFiles::require(std::string_view name) const {
  if (const CheckpointFile* file = find(name)) return *file;
  std::vector<std::string> names;
  for (const CheckpointFile& file : files_) names.push_back(file.name);
  throw Error(ErrorCode::kModel, std::string(name) + " not found in " + where_ + ", which holds: " + list_names(names));
}

void CheckpointFiles::release(std::span<const std::byte> bytes) const noexcept {
  for (const MappedFile& mapping : mappings_) mapping.release(bytes);  // the one that holds them acts
}

}  // namespace qasr
