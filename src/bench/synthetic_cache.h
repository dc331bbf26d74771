// Synthetic checkpoints on disk, made once and reused.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace qasr::bench {

/// The directory of a named synthetic checkpoint (weights/synthetic_models.h) inside `cache_dir`, written first if it
/// is not there. It appears under its name only when complete, whatever interrupts the writing, and two processes may
/// ask for it at once.
///   log  receives a line before something slow is done; may be empty
/// @throws Error kInvalidArgument  unknown model; kModel  a file cannot be written
std::filesystem::path cached_synthetic_checkpoint(const std::filesystem::path& cache_dir, const std::string& model,
                                                  const std::function<void(std::string_view)>& log);

}  // namespace qasr::bench
