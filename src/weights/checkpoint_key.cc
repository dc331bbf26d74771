#include "weights/checkpoint_key.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/checksum.h"
#include "weights/gguf.h"
#include "weights/weight_files.h"

namespace qasr {
namespace {

constexpr std::size_t kSampleBytes = 256;

// All of config.json; length and JSON header of a safetensors file; metadata and tensor list of a GGUF file.
std::span<const std::byte> identity_of(const CheckpointFile& file) {
  if (file.name == "config.json") return file.bytes;
  if (weight_file_kind(file.bytes) == WeightFileKind::kGguf) return GgufFile(file.bytes, file.name).header();
  std::uint64_t header_bytes = 0;
  if (file.bytes.size() >= sizeof header_bytes) std::memcpy(&header_bytes, file.bytes.data(), sizeof header_bytes);
  return file.bytes.first(std::min<std::size_t>(file.bytes.size(), sizeof header_bytes + header_bytes));
}

void append_sample(std::span<const std::byte> tensor, std::size_t begin, std::vector<std::byte>& samples) {
  const auto sample = tensor.subspan(begin, std::min(kSampleBytes, tensor.size() - begin));
  samples.insert(samples.end(), sample.begin(), sample.end());
}

}  // namespace

std::string checkpoint_key(const CheckpointFiles& files, const WeightStore& weights) {
  std::string key;
  for (const CheckpointFile& file : files.all()) {
    if (file.name != "config.json" && weight_file_kind(file.bytes) == WeightFileKind::kNone) continue;
    key += file.name + " " + std::to_string(file.bytes.size()) + " " + std::to_string(file.modified_ns) + " " +
           std::to_string(checksum(identity_of(file))) + "\n";
  }
  std::vector<std::byte> samples;
  for (const HostTensor& tensor : weights.all()) {
    for (const std::span<const std::byte> part : {tensor.bytes, tensor.affine.scales, tensor.affine.biases}) {
      const std::size_t last = part.size() - std::min(part.size(), kSampleBytes);
      for (const std::size_t begin : {std::size_t{0}, last / 2, last}) append_sample(part, begin, samples);
    }
  }
  return key + "samples " + std::to_string(checksum(samples)) + "\n";
}

}  // namespace qasr
