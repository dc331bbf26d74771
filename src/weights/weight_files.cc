#include "weights/weight_files.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace qasr {
namespace {

struct Unsupported {
  std::string_view magic, description;
};

constexpr std::array kUnsupported = {
    Unsupported{std::string_view("PK\3\4", 4),
                "a zip archive such as PyTorch's pytorch_model.bin, which is not read because it can run programs: "
                "convert it to safetensors"},
    Unsupported{std::string_view("\x80\2", 2),
                "a Python pickle, which is not read because it can run programs: convert it to safetensors"},
    Unsupported{"lmgg", "an old ggml file, the predecessor of GGUF: convert the model anew"},
    Unsupported{"fmgg", "an old ggmf file, the predecessor of GGUF: convert the model anew"},
    Unsupported{"tjgg", "an old ggjt file, the predecessor of GGUF: convert the model anew"},
    Unsupported{"FUGG", "a big-endian GGUF file, expected little-endian"},
    Unsupported{std::string_view("\x89HDF", 4), "an HDF5 file: convert it to safetensors"},
    Unsupported{std::string_view("\x93NUMPY", 6), "a NumPy array: convert the model to safetensors"},
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

WeightFileKind weight_file_kind(std::span<const std::byte> bytes) {
  const std::string_view text = text_of(bytes);
  if (text.starts_with("GGUF")) return WeightFileKind::kGguf;
  if (!describe_unsupported(bytes).empty()) return WeightFileKind::kUnsupported;
  std::uint64_t length = 0;
  if (text.size() < 8 + 2) return WeightFileKind::kNone;
  std::memcpy(&length, text.data(), 8);
  return length >= 2 && length <= text.size() - 8 && text[8] == '{' ? WeightFileKind::kSafetensors
                                                                    : WeightFileKind::kNone;
}

std::string describe_unsupported(std::span<const std::byte> bytes) {
  for (const Unsupported& format : kUnsupported) {
    if (text_of(bytes).starts_with(format.magic)) return std::string(format.description);
  }
  return {};
}

}  // namespace qasr
