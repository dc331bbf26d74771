// Reading recordings: any container and codec FFmpeg knows -> 16 kHz mono f32.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "qasr/export.h"

namespace qasr {

inline constexpr int kSampleRate = 16000;

/// A decoded recording.
struct Audio {
  std::vector<float> samples;  ///< mono, 16 kHz, in [-1, 1]
  /// What was odd about the file but did not prevent decoding, one sentence each
  /// (for example "stopped at a damaged packet after 12.3 s").
  std::vector<std::string> warnings;
};

/// Decodes the default audio stream of a file (sound or film), mixes it to mono (mean over channels), resamples to
/// 16 kHz and, if the peak exceeds 1, scales it down to 1. Samples that are NaN or infinite become 0 with a warning.
/// Playlists, raw samples without a header and images are not recordings; no other file or address is ever opened.
///
/// @throws Error kInput  file missing, a directory, empty, not audio, no audio stream, no channels, nothing decodable;
///                       kOutOfMemory
QASR_API Audio load_audio(const std::filesystem::path& path);

/// The same from memory. `name` appears in messages.
QASR_API Audio load_audio(std::span<const std::byte> bytes, const std::string& name);

/// The same from a byte source that cannot seek (standard input, a socket). `read` fills the span and returns the
/// number of bytes written, 0 at the end; it may throw. The stream is read to its end before decoding begins.
QASR_API Audio load_audio(const std::function<std::size_t(std::span<std::byte>)>& read, const std::string& name);

}  // namespace qasr
