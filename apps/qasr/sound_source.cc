#include "sound_source.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <thread>

#include "qasr/audio.h"
#include "qasr/error.h"

namespace qasr::app {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPoll_ms = 100;  // how soon stop() is noticed
constexpr std::size_t kPacedSamples = kSampleRate / 10;

// Waits for bytes on standard input. 0 at the end and after stop.
std::size_t read_input(std::span<std::byte> out, const std::atomic<bool>& stopped) {
  while (!stopped) {
    pollfd ready{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const int n_ready = ::poll(&ready, 1, kPoll_ms);
    if (n_ready == 0 || (n_ready < 0 && errno == EINTR)) continue;
    const ssize_t n = ::read(STDIN_FILENO, out.data(), out.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR || errno == EAGAIN) continue;
    throw Error(ErrorCode::kInput, std::string("standard input: ") + std::strerror(errno));
  }
  return 0;
}

class RawInput final : public SoundSource {
 public:
  RawInput(int sample_rate, SampleFormat format, int n_channels)
      : sample_rate_(sample_rate), format_(format), n_channels_(n_channels) {}
  int sample_rate() const override { return sample_rate_; }
  bool read(std::vector<float>& out) override {
    out.clear();
    while (out.empty()) {
      std::byte block[16384];
      const std::size_t n = read_input(block, stopped_);
      if (n == 0) return false;
      bytes_.append(reinterpret_cast<const char*>(block), n);
      append_mono(bytes_, format_, n_channels_, out);
    }
    for (float& x : out) {
      if (std::abs(x) <= 1e6F) continue;  // NaN too
      x = 0;
      ++n_bad_;
    }
    return true;
  }
  void stop() override { stopped_ = true; }
  std::vector<std::string> warnings() const override {
    std::vector<std::string> found;
    if (!bytes_.empty()) found.push_back("standard input ended inside a sample; is --rate right for this input?");
    if (n_bad_ > 0) found.push_back(std::to_string(n_bad_) + " samples were no numbers and became silence");
    return found;
  }

 private:
  int sample_rate_;
  SampleFormat format_;
  int n_channels_;
  std::string bytes_;
  std::size_t n_bad_ = 0;
  std::atomic<bool> stopped_ = false;
};

// A file or coded standard input, in blocks as they are decoded or at the pace of a clock.
class MediaInput final : public SoundSource {
 public:
  MediaInput(const std::string& path, bool realtime) : realtime_(realtime) { stream_.emplace(path); }
  MediaInput() : realtime_(false) {
    stream_.emplace([this](std::span<std::byte> out) { return read_input(out, stopped_); }, "standard input",
                    AudioStreamOptions{.live = true});
  }
  int sample_rate() const override { return kSampleRate; }
  bool read(std::vector<float>& out) override {
    out.clear();
    if (stopped_) return false;
    while (used_ == block_.size()) {
      used_ = 0;
      block_.clear();
      if (!stream_->read(lanes_)) return false;
      block_ = lanes_[0];
    }
    const std::size_t n = realtime_ ? std::min(kPacedSamples, block_.size() - used_) : block_.size() - used_;
    out.assign(block_.begin() + static_cast<std::ptrdiff_t>(used_),
               block_.begin() + static_cast<std::ptrdiff_t>(used_ + n));
    used_ += n;
    n_read_ += n;
    if (realtime_) wait();
    return !stopped_;
  }
  void stop() override { stopped_ = true; }
  std::vector<std::string> warnings() const override { return stream_->warnings(); }

 private:
  void wait() {
    if (!start_) start_ = Clock::now();
    const auto due = *start_ + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(static_cast<double>(n_read_) / kSampleRate));
    while (!stopped_ && Clock::now() < due) {
      std::this_thread::sleep_until(std::min(due, Clock::now() + std::chrono::milliseconds(kPoll_ms)));
    }
  }

  bool realtime_;
  std::atomic<bool> stopped_ = false;
  std::optional<AudioStream> stream_;
  std::vector<std::vector<float>> lanes_;
  std::vector<float> block_;
  std::size_t used_ = 0, n_read_ = 0;
  std::optional<Clock::time_point> start_;
};

}  // namespace

void append_mono(std::string& bytes, SampleFormat format, int n_channels, std::vector<float>& out) {
  const std::size_t sample_bytes = format == SampleFormat::kS16 ? 2 : 4;
  const std::size_t frame_bytes = sample_bytes * static_cast<std::size_t>(n_channels);
  const std::size_t n_frames = bytes.size() / frame_bytes;
  const char* at = bytes.data();
  for (std::size_t frame = 0; frame < n_frames; ++frame) {
    float sum = 0;
    for (int channel = 0; channel < n_channels; ++channel, at += sample_bytes) {
      if (format == SampleFormat::kS16) {
        std::int16_t value = 0;
        std::memcpy(&value, at, sizeof value);
        sum += static_cast<float>(value) / 32768.0F;
      } else {
        float value = 0;
        std::memcpy(&value, at, sizeof value);
        sum += value;
      }
    }
    out.push_back(sum / static_cast<float>(n_channels));
  }
  bytes.erase(0, n_frames * frame_bytes);
}

std::unique_ptr<SoundSource> raw_input(int sample_rate, SampleFormat format, int n_channels) {
  return std::make_unique<RawInput>(sample_rate, format, n_channels);
}
std::unique_ptr<SoundSource> coded_input() { return std::make_unique<MediaInput>(); }
std::unique_ptr<SoundSource> file_input(const std::string& path, bool realtime) {
  return std::make_unique<MediaInput>(path, realtime);
}

}  // namespace qasr::app
