// load_audio: a whole AudioStream in memory. Hop 1 of the walk for recordings that fit.
#include <new>

#include "qasr/audio.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr double kUnlimitedS = 1e9;  // memory is the limit of what is loaded at once

template <typename Source>
Audio load(const Source& source, const std::string& name) {
  const AudioStreamOptions options{.max_duration_s = kUnlimitedS};
  AudioStream stream = source(options);
  Audio audio;
  std::vector<std::vector<float>> lanes;
  try {
    while (stream.read(lanes)) audio.samples.insert(audio.samples.end(), lanes[0].begin(), lanes[0].end());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "audio: the decoded samples do not fit into memory, in " + name);
  }
  audio.warnings = stream.warnings();
  limit_to_unit(audio.samples);
  return audio;
}

}  // namespace

Audio load_audio(const std::filesystem::path& path) {
  return load([&](const AudioStreamOptions& options) { return AudioStream(path, options); }, path.string());
}

Audio load_audio(std::span<const std::byte> bytes, const std::string& name) {
  return load([&](const AudioStreamOptions& options) { return AudioStream(bytes, name, options); }, name);
}

Audio load_audio(const std::function<std::size_t(std::span<std::byte>)>& read, const std::string& name) {
  return load([&](const AudioStreamOptions& options) { return AudioStream(read, name, options); }, name);
}

}  // namespace qasr
