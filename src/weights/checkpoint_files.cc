// See checkpoint_files.h. Decides which files of a directory belong to a checkpoint; reads none of them.
#include "weights/checkpoint_files.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "qasr/error.h"
#include "weights/gguf_checkpoint.h"
#include "weights/weight_files.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxListedNames = 12;

constexpr const char* kIndexName = "model.safetensors.index.json";

bool belongs_to_checkpoint(const fs::path& name) {
  const fs::path extension = name.extension();
  return extension == ".json" || extension == ".safetensors" || extension == ".gguf" || name == "merges.txt";
}

// Files that cannot be weights, by name, and what an interrupted download leaves: not worth a look inside.
bool is_other(const fs::path& name) {
  const fs::path extension = name.extension();
  for (const char* other : {".txt", ".md", ".jinja", ".wav", ".flac", ".mp3", ".qasrpack", ".incomplete", ".partial"}) {
    if (extension == other) return true;
  }
  return name.string().starts_with(".");
}

bool is_weight_file(const CheckpointFile& file) { return weight_file_kind(file.bytes) != WeightFileKind::kNone; }
bool is_gguf(const CheckpointFile& file) { return weight_file_kind(file.bytes) == WeightFileKind::kGguf; }

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

CheckpointFiles CheckpointFiles::map_directory(const fs::path& directory) {
  CheckpointFiles result;
  result.where_ = directory.string();
  for (const std::string& name : names_in(directory)) {
    const fs::path path = directory / name;
    std::error_code ignored;  // an unreadable file is reported by MappedFile
    const bool belongs = belongs_to_checkpoint(name);
    if (!belongs && (is_other(name) || !fs::is_regular_file(path, ignored))) continue;
    if (name != kConfigName && fs::is_directory(path, ignored)) continue;
    MappedFile mapping;
    try {
      mapping = MappedFile(path);
    } catch (const Error&) {
      if (belongs) throw;
      continue;  // what lies around need not be readable
    }
    const CheckpointFile file{.name = name, .bytes = mapping.bytes(), .modified_ns = mapping.modified_ns()};
    if (!belongs && !is_weight_file(file)) continue;
    result.mappings_.push_back(std::move(mapping));
    result.files_.push_back(file);
  }
  return result;
}

CheckpointFiles CheckpointFiles::open_directory(const fs::path& directory) {
  CheckpointFiles result = map_directory(directory);
  const bool has_gguf = std::any_of(result.files_.begin(), result.files_.end(), is_gguf);
  const bool has_other = std::any_of(result.files_.begin(), result.files_.end(), [](const CheckpointFile& file) {
    return !is_gguf(file) && (file.name.ends_with(".safetensors") || is_weight_file(file));
  });
  if (has_gguf && (!has_other || result.find(kConfigName) == nullptr)) {  // with both, safetensors are the original
    result.keep_gguf_parts("");
  } else if (result.find(kConfigName) == nullptr) {
    throw Error(ErrorCode::kModel, "config.json not found in model directory " + directory.string() +
                                       ", which holds: " + list_names(names_in(directory)));
  }
  return result;
}

CheckpointFiles CheckpointFiles::open(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return open_directory(path);
  const CheckpointFile named{.name = path.filename().string(), .bytes = {}};
  const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  CheckpointFiles result = map_directory(directory);
  const CheckpointFile* file = result.find(named.name);
  const WeightFileKind kind = file == nullptr ? WeightFileKind::kNone : weight_file_kind(file->bytes);
  if (kind == WeightFileKind::kGguf) {
    result.keep_gguf_parts(named.name);
  } else if (kind == WeightFileKind::kSafetensors) {
    if (result.find(kIndexName) == nullptr) {
      std::erase_if(result.files_, [&](const CheckpointFile& f) { return is_weight_file(f) && f.name != named.name; });
    }
    result.require(kConfigName);
  } else {
    const std::string found = kind == WeightFileKind::kUnsupported ? describe_unsupported(file->bytes)
                                                                   : "no weights, as far as its first bytes tell";
    throw Error(ErrorCode::kModel, "cannot open model " + path.string() + ": it is " + found +
                                       "; expected a directory with config.json and *.safetensors, a safetensors file "
                                       "in such a directory, or a GGUF file");
  }
  return result;
}

void CheckpointFiles::keep_gguf_parts(const std::string& wanted) {
  std::vector<const CheckpointFile*> candidates;
  for (const CheckpointFile& file : files_) {
    if (is_gguf(file)) candidates.push_back(&file);
  }
  const std::vector<const CheckpointFile*> parts = gguf_parts(candidates, find(wanted), where_);
  std::vector<OwnedFile> made = gguf_side_files(parts, where_);
  std::vector<std::string> kept;
  for (const CheckpointFile* part : parts) kept.push_back(part->name);
  // Nothing beside the parts counts: a GGUF file describes itself, and what lies around may belong to another model.
  std::erase_if(files_,
                [&](const CheckpointFile& f) { return std::find(kept.begin(), kept.end(), f.name) == kept.end(); });
  for (OwnedFile& file : made) add_owned(std::move(file));
}

void CheckpointFiles::add_owned(OwnedFile file) {
  owned_.push_back(std::move(file.bytes));
  files_.push_back({.name = std::move(file.name), .bytes = owned_.back()});
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

void CheckpointFiles::release(const HostTensor& tensor) const noexcept {
  for (const std::span<const std::byte> part : {tensor.bytes, tensor.affine.scales, tensor.affine.biases})
    release(part);
}

void CheckpointFiles::release(std::span<const std::byte> bytes) const noexcept {
  for (const MappedFile& mapping : mappings_) mapping.release(bytes);  // the one that holds them acts
}

}  // namespace qasr
