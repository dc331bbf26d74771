// Reading recordings: any container and codec FFmpeg knows -> 16 kHz mono f32.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
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
/// number of bytes written, 0 at the end; it may throw. The stream is read to its end before decoding begins; beyond
/// 64 MiB its bytes are kept in a temporary file without a name.
QASR_API Audio load_audio(const std::function<std::size_t(std::span<std::byte>)>& read, const std::string& name);

/// What becomes of the channels of a recording.
enum class ChannelMode {
  kMix,    ///< one lane: the mean over channels
  kOne,    ///< one lane: one channel
  kSplit,  ///< one lane per channel
};

struct AudioStreamOptions {
  double offset_s = 0;    ///< where to begin; decoding is exact for every format, so what lies before is decoded too
  double duration_s = 0;  ///< how much to read; 0: to the end
  ChannelMode channels = ChannelMode::kMix;
  int channel = 0;  ///< for kOne; 0 is the first
  /// Most audio read from one file: a few bytes of a hostile file may claim to be years.
  double max_duration_s = 48 * 3600;
  /// For a byte source that is read while it is recorded: read() returns what has come, and nothing is kept of the
  /// bytes. Containers that need to seek (MP4 with its index at the end) are refused.
  bool live = false;
};

/// A recording as a stream of blocks: the memory it needs does not depend on its length.
class QASR_API AudioStream {
 public:
  static constexpr int kMaxLanes = 32;

  /// @throws Error kInput            as load_audio; and no such channel, or more than kMaxLanes to split
  ///               kInvalidArgument  an option is negative or not finite
  explicit AudioStream(const std::filesystem::path& path, const AudioStreamOptions& options = {});
  AudioStream(std::span<const std::byte> bytes, const std::string& name, const AudioStreamOptions& options = {});
  AudioStream(const std::function<std::size_t(std::span<std::byte>)>& read, const std::string& name,
              const AudioStreamOptions& options = {});
  ~AudioStream();
  AudioStream(AudioStream&&) noexcept;
  AudioStream& operator=(AudioStream&&) noexcept;

  /// Lanes that read() fills: 1, or the number of channels with kSplit. Stays the same, whatever later frames have.
  int n_lanes() const noexcept;

  /// Replaces lanes[l] by the next samples of lane l: 16 kHz f32, finite, the same number in each, about a second.
  /// They may exceed [-1, 1]; limit_to_unit() is for the pieces that are made of them.
  /// @return false at the end; the lanes are then empty
  /// @throws Error kInput, kOutOfMemory
  bool read(std::vector<std::vector<float>>& lanes);

  /// Seconds returned so far; plus offset_s it is the position in the recording.
  double position_s() const noexcept;
  /// What read() will return in all, as the header and the options say; 0 if the header does not say.
  double expected_s() const noexcept;
  /// False if reading ended before the recording did: damage, read error, max_duration_s. warnings() says why.
  bool complete() const noexcept;
  /// As Audio::warnings. Call it when read() has returned false.
  std::vector<std::string> warnings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The official rule: samples whose peak exceeds 1 are divided by it, quieter ones are left as they are.
QASR_API void limit_to_unit(std::span<float> samples) noexcept;

}  // namespace qasr
