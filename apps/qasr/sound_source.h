// Where live samples come from: a file at its own pace, standard input, a microphone. One interface, so that everything
// behind it can be tested without a sound card.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace qasr::app {

class SoundSource {
 public:
  virtual ~SoundSource() = default;
  virtual int sample_rate() const = 0;
  /// Replaces `out` by the next mono samples; waits for some.
  /// @return false at the end, and soon after stop()
  /// @throws Error kInput  the source failed: unplugged, starved, damaged
  virtual bool read(std::vector<float>& out) = 0;
  /// From another thread: no more is wanted.
  virtual void stop() = 0;
  /// Problems that did not end it, one sentence each. After the end.
  virtual std::vector<std::string> warnings() const { return {}; }
};

enum class SampleFormat { kS16, kF32 };

/// Raw PCM in native byte order from standard input, the mean over the channels.
std::unique_ptr<SoundSource> raw_input(int sample_rate, SampleFormat format, int n_channels);
/// Whatever FFmpeg reads, from standard input as it comes.
std::unique_ptr<SoundSource> coded_input();
/// A file. `realtime`: no faster than it was recorded.
std::unique_ptr<SoundSource> file_input(const std::string& path, bool realtime);

/// Converts interleaved PCM to mono; what is left of the last frame stays in `bytes`.
void append_mono(std::string& bytes, SampleFormat format, int n_channels, std::vector<float>& out);

}  // namespace qasr::app
