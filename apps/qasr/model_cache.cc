#include "model_cache.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "qasr/error.h"

namespace qasr::app {
namespace {

namespace fs = std::filesystem;

struct ShortName {
  std::string_view name, repository;
};
constexpr std::array kShortNames = {
    ShortName{"0.6b", "Qwen/Qwen3-ASR-0.6B"},
    ShortName{"1.7b", "Qwen/Qwen3-ASR-1.7B"},
    ShortName{"aligner", "Qwen/Qwen3-ForcedAligner-0.6B"},
};
constexpr std::string_view kSeparator = "--", kPartial = ".partial";

bool is_plain(std::string_view part) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  return !part.empty() && part.size() <= 96 && part.front() != '.' && std::all_of(part.begin(), part.end(), plain) &&
         part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos;
}

std::uint64_t bytes_in(const fs::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.is_regular_file(ignored)) bytes += entry.file_size(ignored);
  }
  return bytes;
}

}  // namespace

std::string repository_of(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const ShortName& entry : kShortNames) {
    if (lower == entry.name) return std::string(entry.repository);
  }
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return {};
  return is_plain(name.substr(0, slash)) && is_plain(name.substr(slash + 1)) ? std::string(name) : std::string();
}

fs::path models_directory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && fs::path(cache).is_absolute()) return fs::path(cache) / "qasr" / "models";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    throw Error(ErrorCode::kInvalidArgument, "no place for models: neither XDG_CACHE_HOME nor HOME is set");
  }
  return fs::path(home) / ".cache" / "qasr" / "models";
}

fs::path model_directory(const std::string& repository) {
  const std::size_t slash = repository.find('/');
  return models_directory() / (repository.substr(0, slash) + std::string(kSeparator) + repository.substr(slash + 1));
}

std::vector<CachedModel> cached_models() {
  std::vector<CachedModel> models;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(models_directory(), ignored)) {
    std::string name = entry.path().filename().string();
    const std::size_t separator = name.find(kSeparator);
    if (!entry.is_directory(ignored) || separator == std::string::npos) continue;
    CachedModel model{.directory = entry.path(), .bytes = bytes_in(entry.path())};
    if (name.ends_with(kPartial)) name.resize(name.size() - kPartial.size());
    model.repository = name.substr(0, separator) + "/" + name.substr(separator + kSeparator.size());
    std::ifstream manifest(entry.path() / kManifestName);
    const nlohmann::json json = nlohmann::json::parse(manifest, nullptr, false);
    model.is_complete = json.is_object() && !entry.path().filename().string().ends_with(kPartial);
    if (model.is_complete && json.contains("revision") && json["revision"].is_string())
      model.revision = json["revision"];
    models.push_back(std::move(model));
  }
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.directory < b.directory; });
  return models;
}

fs::path resolve_model(const std::string& argument) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(argument, ignored))) return argument;
  const std::string repository = repository_of(argument);
  if (repository.empty()) return argument;  // opening it says what is wrong
  const fs::path directory = model_directory(repository);
  if (fs::exists(directory / kManifestName, ignored)) return directory;
  const bool is_short = argument.find('/') == std::string::npos;
  throw Error(ErrorCode::kModel, "model " + argument + (is_short ? " (" + repository + ")" : "") +
                                     " is not on this machine: there is no such path, and nothing in " +
                                     directory.string() + ". To fetch it:\n    qasr download " + argument);
}

}  // namespace qasr::app
