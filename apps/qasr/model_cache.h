// Downloaded models: where they lie, what they are called, and what `--model` means.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qasr::app {

/// "0.6b" -> "Qwen/Qwen3-ASR-0.6B"; "owner/name" stays. "" for anything else, and for what no hub would take as a name.
std::string repository_of(std::string_view name);

/// $XDG_CACHE_HOME/qasr/models, or ~/.cache/qasr/models.
/// @throws Error kInvalidArgument  neither variable is set
std::filesystem::path models_directory();
/// Where a repository's files lie once they are complete.
std::filesystem::path model_directory(const std::string& repository);

/// Written into a directory when it is complete; its presence says so.
inline constexpr const char* kManifestName = ".qasr-download.json";

struct CachedModel {
  std::string repository, revision;
  std::filesystem::path directory;
  std::uint64_t bytes = 0;
  bool is_complete = false;
};
/// Complete ones and what interrupted downloads left, by name.
std::vector<CachedModel> cached_models();

/// What `--model` names: a path that exists, else a downloaded model by short or full name.
/// @throws Error kModel  a model's name that is not downloaded: the message has the command that would
std::filesystem::path resolve_model(const std::string& argument);

}  // namespace qasr::app
