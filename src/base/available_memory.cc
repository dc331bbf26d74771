// See available_memory.h. Formats: proc(5), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
#include "base/available_memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace qasr {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kUnknown = std::uint64_t{1} << 30;

// A file that holds one number; nothing for "max", an absent file or anything else.
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::uint64_t value = 0;
  std::ifstream stream(file);
  return stream >> value ? std::optional(value) : std::nullopt;
}

std::optional<std::uint64_t> system_available(const fs::path& root) {
  std::ifstream file(root / "proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  for (std::string rest; file >> key; std::getline(file, rest)) {
    if (key == "MemAvailable:" && file >> kib) return kib * 1024;
  }
  return std::nullopt;
}

// The process's group inside the mounted hierarchy: "0::/path" (version 2) or "N:memory:/path".
std::string own_group(const fs::path& root, bool is_v2) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : controllers == "memory") return line.substr(second + 1);
  }
  return "/";
}

// What is left in a group and in the groups around it, as far as they are visible.
std::optional<std::uint64_t> group_available(const fs::path& mount, const std::string& group, const char* limit_file,
                                             const char* usage_file) {
  std::optional<std::uint64_t> least;
  for (fs::path path = fs::path(group).relative_path();; path = path.parent_path()) {
    const std::optional<std::uint64_t> limit = number_in(mount / path / limit_file);
    if (limit) {
      const std::uint64_t usage = number_in(mount / path / usage_file).value_or(0);
      const std::uint64_t left = *limit - std::min(*limit, usage);
      least = std::min(least.value_or(left), left);
    }
    if (path.empty()) return least;
  }
}

}  // namespace

std::uint64_t available_memory_bytes(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  std::optional<std::uint64_t> least;
  for (const auto& bytes :
       {system_available(root), group_available(mount, own_group(root, true), "memory.max", "memory.current"),
        group_available(mount / "memory", own_group(root, false), "memory.limit_in_bytes", "memory.usage_in_bytes")}) {
    if (bytes) least = std::min(least.value_or(*bytes), *bytes);
  }
  return least.value_or(kUnknown);
}

}  // namespace qasr
