// AudioStream: bytes -> frames (AudioReader) -> lanes (MonoMixer) -> 16 kHz (Resampler), one block at a time.
// Timestamps are ignored: frames are joined in the order they come.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <new>
#include <utility>

#include "audio/audio_reader.h"
#include "audio/byte_source.h"
#include "audio/ffmpeg_silence.h"
#include "audio/input_error.h"
#include "audio/mono_mixer.h"
#include "audio/resampler.h"
#include "qasr/audio.h"

namespace qasr {
namespace {

// A header may round or count encoder padding; less than this is not reported as missing.
constexpr double kShortfallS = 0.25;
constexpr std::size_t kBlockSamples = kSampleRate;

std::string seconds_text(double s) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f s", s);
  return text;
}

void check_option(const char* name, double value) {
  if (std::isfinite(value) && value >= 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string("audio: ") + name + " is " + std::to_string(value) + ", expected 0 or more seconds");
}

std::uint64_t samples_of(double seconds) { return static_cast<std::uint64_t>(std::llround(seconds * kSampleRate)); }

}  // namespace

struct AudioStream::Impl {
  Impl(std::unique_ptr<ByteSource> bytes, std::string recording, const AudioStreamOptions& wanted)
      : name(std::move(recording)), options(wanted), source(std::move(bytes)), reader(*source, name) {
    pending = reader.next();
    choose_lanes();
    skip_s = options.offset_s;
    const double limit_s =
        options.duration_s > 0 ? std::min(options.duration_s, options.max_duration_s) : options.max_duration_s;
    n_left = samples_of(limit_s);
  }

  void choose_lanes();
  void add_frame(const AVFrame& frame, std::vector<std::vector<float>>& lanes);
  void resample(std::size_t lane, int rate, std::vector<float>& out);
  void limit(std::vector<std::vector<float>>& lanes);
  bool read(std::vector<std::vector<float>>& lanes);
  std::vector<std::string> warnings() const;

  std::string name;
  AudioStreamOptions options;
  std::unique_ptr<ByteSource> source;
  AudioReader reader;
  const AVFrame* pending = nullptr;  // the reader's current frame; null at the end
  std::size_t n_lanes = 1;
  MonoMixer mixer;
  std::vector<std::unique_ptr<Resampler>> resamplers;  // [n_lanes]
  std::vector<float> samples;                          // of one lane of one frame
  double skip_s = 0;                                   // still to be left out at the beginning
  std::uint64_t n_returned = 0;
  std::uint64_t n_left = 0;
  bool limit_reached = false;
};

void AudioStream::Impl::choose_lanes() {
  const int n_channels = pending != nullptr ? pending->ch_layout.nb_channels : 1;
  if (options.channels == ChannelMode::kOne && (options.channel < 0 || options.channel >= n_channels)) {
    throw_input_error(name, std::to_string(n_channels) + (n_channels == 1 ? " channel" : " channels"),
                      "channel " + std::to_string(options.channel + 1) + ", counted from 1");
  }
  if (options.channels == ChannelMode::kSplit && n_channels > kMaxLanes) {
    throw_input_error(name, std::to_string(n_channels) + " channels", "at most " + std::to_string(kMaxLanes));
  }
  n_lanes = options.channels == ChannelMode::kSplit ? static_cast<std::size_t>(n_channels) : 1;
  resamplers.resize(n_lanes);
}

void AudioStream::Impl::resample(std::size_t lane, int rate, std::vector<float>& out) {
  std::unique_ptr<Resampler>& resampler = resamplers[lane];
  if (!resampler || resampler->input_rate() != rate) {
    if (resampler) resampler->finish(out);
    resampler = std::make_unique<Resampler>(rate);
  }
  resampler->push(samples, out);
}

void AudioStream::Impl::add_frame(const AVFrame& frame, std::vector<std::vector<float>>& lanes) {
  const auto n_skipped = std::min<std::int64_t>(frame.nb_samples, std::llround(skip_s * frame.sample_rate));
  skip_s = std::max(0.0, skip_s - static_cast<double>(frame.nb_samples) / frame.sample_rate);
  if (n_skipped == frame.nb_samples) return;
  for (std::size_t lane = 0; lane < n_lanes; ++lane) {
    const int channel = options.channels == ChannelMode::kOne ? options.channel : static_cast<int>(lane);
    const bool known =
        options.channels == ChannelMode::kMix ? mixer.mix(frame, samples) : mixer.pick(frame, channel, samples);
    if (!known) {
      throw_input_error(name, "sample format " + std::to_string(frame.format), "8 to 64 bit integers or floats");
    }
    samples.erase(samples.begin(), samples.begin() + n_skipped);
    resample(lane, frame.sample_rate, lanes[lane]);
  }
}

void AudioStream::Impl::limit(std::vector<std::vector<float>>& lanes) {
  const std::size_t n_samples = lanes[0].size();
  const std::size_t n_kept = std::min<std::uint64_t>(n_samples, n_left);
  for (std::vector<float>& lane : lanes) {
    lane.resize(n_kept);
    for (float& x : lane) {
      if (!std::isfinite(x)) x = 0.0f;  // the resampler can overflow next to values near the largest float
    }
  }
  n_left -= n_kept;
  n_returned += n_kept;
  limit_reached = n_kept < n_samples || (n_left == 0 && pending != nullptr);
}

bool AudioStream::Impl::read(std::vector<std::vector<float>>& lanes) {
  const FfmpegSilence silence;
  lanes.resize(n_lanes);
  for (std::vector<float>& lane : lanes) lane.clear();
  if (n_left == 0) return false;
  while (pending != nullptr && lanes[0].size() < std::min<std::uint64_t>(options.live ? 1 : kBlockSamples, n_left)) {
    add_frame(*pending, lanes);
    pending = reader.next();
  }
  if (pending == nullptr) {
    for (std::size_t lane = 0; lane < n_lanes; ++lane) {
      if (resamplers[lane]) resamplers[lane]->finish(lanes[lane]);
      resamplers[lane].reset();
    }
  }
  limit(lanes);
  if (n_returned == 0 && options.offset_s == 0) {
    const std::vector<std::string> reasons = warnings();
    throw_input_error(name, "no sample that can be decoded" + (reasons.empty() ? "" : " (" + reasons[0] + ")"),
                      "audio");
  }
  return !lanes[0].empty();
}

std::vector<std::string> AudioStream::Impl::warnings() const {
  std::vector<std::string> found;
  const double decoded_s = reader.decoded_s();
  if (reader.n_damaged_packets() > 0) {
    found.push_back("damaged packets: " + std::to_string(reader.n_damaged_packets()) + ", the first after " +
                    seconds_text(reader.first_damage_s()));
  }
  if (!reader.stop_reason().empty()) {
    found.push_back("reading stopped after " + seconds_text(decoded_s) + ": " + reader.stop_reason());
  }
  if (limit_reached && options.duration_s <= 0) {
    found.push_back("reading stopped at the limit of " + seconds_text(options.max_duration_s));
  } else if (!limit_reached && decoded_s + kShortfallS < reader.declared_s()) {
    found.push_back("the header declares " + seconds_text(reader.declared_s()) + " but only " +
                    seconds_text(decoded_s) + " could be decoded; the file may be truncated");
  }
  if (!limit_reached && options.offset_s > 0 && n_returned == 0) {
    found.push_back("the recording ends after " + seconds_text(decoded_s) + ", before the offset of " +
                    seconds_text(options.offset_s));
  }
  if (mixer.n_not_finite() > 0) {
    found.push_back("samples that were NaN or infinite and became 0: " + std::to_string(mixer.n_not_finite()));
  }
  if (source->has_changed()) found.push_back("the file changed while it was read");
  return found;
}

namespace {

template <typename MakeSource>
auto open_stream(const MakeSource& make_source, const std::string& name, const AudioStreamOptions& options) {
  check_option("offset_s", options.offset_s);
  check_option("duration_s", options.duration_s);
  check_option("max_duration_s", options.max_duration_s);
  const FfmpegSilence silence;
  try {
    return make_source();
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "audio: the recording does not fit into memory, in " + name);
  }
}

}  // namespace

AudioStream::AudioStream(const std::filesystem::path& path, const AudioStreamOptions& options)
    : impl_(open_stream([&] { return std::make_unique<Impl>(file_source(path), path.string(), options); },
                        path.string(), options)) {}

AudioStream::AudioStream(std::span<const std::byte> bytes, const std::string& name, const AudioStreamOptions& options)
    : impl_(open_stream([&] { return std::make_unique<Impl>(memory_source(bytes), name, options); }, name, options)) {}

AudioStream::AudioStream(const std::function<std::size_t(std::span<std::byte>)>& read, const std::string& name,
                         const AudioStreamOptions& options) {
  const auto open = [&] {
    return std::make_unique<Impl>(options.live ? live_source(read) : stream_source(read), name, options);
  };
  impl_ = open_stream(open, name, options);
}

AudioStream::~AudioStream() = default;
AudioStream::AudioStream(AudioStream&&) noexcept = default;
AudioStream& AudioStream::operator=(AudioStream&&) noexcept = default;

int AudioStream::n_lanes() const noexcept { return static_cast<int>(impl_->n_lanes); }

bool AudioStream::read(std::vector<std::vector<float>>& lanes) {
  try {
    return impl_->read(lanes);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "audio: the decoded samples do not fit into memory, in " + impl_->name);
  }
}

double AudioStream::position_s() const noexcept { return static_cast<double>(impl_->n_returned) / kSampleRate; }

double AudioStream::expected_s() const noexcept {
  const AudioStreamOptions& options = impl_->options;
  const double rest_s = std::max(0.0, impl_->reader.declared_s() - options.offset_s);
  return options.duration_s > 0 ? std::min(rest_s, options.duration_s) : rest_s;
}

bool AudioStream::complete() const noexcept {
  const AudioReader& reader = impl_->reader;
  if (impl_->limit_reached) return impl_->options.duration_s > 0;
  return reader.stop_reason().empty() && reader.decoded_s() + kShortfallS >= reader.declared_s() &&
         !impl_->source->has_changed();
}

std::vector<std::string> AudioStream::warnings() const { return impl_->warnings(); }

void limit_to_unit(std::span<float> samples) noexcept {
  float peak = 0.0f;
  for (float x : samples) peak = std::max(peak, std::abs(x));
  if (peak <= 1.0f) return;
  for (float& x : samples) x = std::clamp(x / peak, -1.0f, 1.0f);
}

}  // namespace qasr
