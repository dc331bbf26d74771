// What a file is, told by its first bytes, not by its name.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace qasr {

enum class WeightFileKind {
  kNone,         ///< nothing that holds weights, as far as its first bytes tell
  kSafetensors,  ///< a plausible header length and a JSON object
  kGguf,
  kUnsupported,  ///< weights in a format that is not read: describe_unsupported says which
};

WeightFileKind weight_file_kind(std::span<const std::byte> bytes);

/// "a PyTorch pickle, which is not read because it can run programs: convert it to safetensors"; "" for other kinds.
std::string describe_unsupported(std::span<const std::byte> bytes);

}  // namespace qasr
