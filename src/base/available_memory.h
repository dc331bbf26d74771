// How much more memory this process could take: what the system has free, bounded by its control group.
#pragma once

#include <cstdint>
#include <filesystem>

namespace qasr {

/// MemAvailable of /proc/meminfo, or what is left below the memory limit of the process's control group if that is
/// less; 1 GiB where neither is known. `root` replaces "/" in tests.
std::uint64_t available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace qasr
