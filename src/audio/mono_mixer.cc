#include "audio/mono_mixer.h"

extern "C" {
#include <libavutil/frame.h>
#include <libavutil/samplefmt.h>
}

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace qasr {
namespace {

// Full scale of each integer format is 1; u8 is centred on 128.
double to_unit(std::uint8_t x) { return (x - 128) * 0x1p-7; }
double to_unit(std::int16_t x) { return x * 0x1p-15; }
double to_unit(std::int32_t x) { return x * 0x1p-31; }
double to_unit(std::int64_t x) { return static_cast<double>(x) * 0x1p-63; }
double to_unit(float x) { return x; }
double to_unit(double x) { return x; }

}  // namespace

template <typename Sample>
void MonoMixer::add_channels(const AVFrame& frame, bool is_planar, Channels channels) {
  const std::size_t stride = is_planar ? 1 : static_cast<std::size_t>(frame.ch_layout.nb_channels);
  for (int channel = channels.first; channel < channels.first + channels.count; ++channel) {
    const auto* samples = reinterpret_cast<const Sample*>(frame.extended_data[is_planar ? channel : 0]);
    if (!is_planar) samples += channel;
    for (std::size_t t = 0; t < sums_.size(); ++t) {
      const double value = to_unit(samples[t * stride]);
      if (std::is_floating_point_v<Sample> && !std::isfinite(value)) {
        ++n_not_finite_;
      } else {
        sums_[t] += value;
      }
    }
  }
}

bool MonoMixer::mix(const AVFrame& frame, std::vector<float>& mono) {
  return mean(frame, {0, frame.ch_layout.nb_channels}, mono);
}

bool MonoMixer::pick(const AVFrame& frame, int channel, std::vector<float>& mono) {
  return mean(frame, {channel, channel < frame.ch_layout.nb_channels ? 1 : 0}, mono);
}

bool MonoMixer::mean(const AVFrame& frame, Channels channels, std::vector<float>& mono) {
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const bool is_planar = av_sample_fmt_is_planar(format) != 0;
  sums_.assign(static_cast<std::size_t>(frame.nb_samples), 0.0);
  switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
      add_channels<std::uint8_t>(frame, is_planar, channels);
      break;
    case AV_SAMPLE_FMT_S16:
      add_channels<std::int16_t>(frame, is_planar, channels);
      break;
    case AV_SAMPLE_FMT_S32:
      add_channels<std::int32_t>(frame, is_planar, channels);
      break;
    case AV_SAMPLE_FMT_S64:
      add_channels<std::int64_t>(frame, is_planar, channels);
      break;
    case AV_SAMPLE_FMT_FLT:
      add_channels<float>(frame, is_planar, channels);
      break;
    case AV_SAMPLE_FMT_DBL:
      add_channels<double>(frame, is_planar, channels);
      break;
    default:
      return false;
  }
  mono.resize(sums_.size());
  for (std::size_t t = 0; t < sums_.size(); ++t) {
    const auto value = static_cast<float>(sums_[t] / std::max(channels.count, 1));
    const bool is_finite = std::isfinite(value);  // a f64 file may hold what f32 cannot
    n_not_finite_ += is_finite ? 0 : 1;
    mono[t] = is_finite ? value : 0.0f;
  }
  return true;
}

}  // namespace qasr
