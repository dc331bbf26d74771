#include "weights/checkpoint_key.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/checksum.h"

namespace qasr {
namespace {

constexpr std::size_t kSampleBytes = 256;

// All of config.json; length and JSON header of a safetensors file.
std::span<const std::byte> identity_of(const CheckpointFile& file) {
  if (file.name == "config.json") return file.bytes;
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
    if (file.name != "config.json" && !file.name.ends_with(".safetensors")) continue;
    key += file.name + " " + std::to_string(file.bytes.size()) + " " + std::to_string(file.modified_ns) + " " +
           std::to_string(checksum(identity_of(file))) + "\n";
  }
  std::vector<std::byte> samples;
  for (const HostTensor& tensor : weights.all()) {
    const std::size_t size = tensor.bytes.size(), last = size - std::min(size, kSampleBytes);
    for (const std::size_t begin : {std::size_t{0}, last / 2, last}) append_sample(tensor.bytes, begin, samples);
  }
  return key + "samples " + std::to_string(checksum(samples)) + "\n";
}

}  // namespace qasr
