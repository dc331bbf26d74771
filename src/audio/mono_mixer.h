// Decoded frames of any sample format and channel count -> mono f32. Third stage of decoding.
#pragma once

#include <cstddef>
#include <vector>

struct AVFrame;

namespace qasr {

/// The arithmetic mean over channels. Done here because libswresample's downmix weights channels by their position
/// (centre, surround, low frequency), which the model's reference does not.
class MonoMixer {
 public:
  /// Replaces `mono` by the frame's samples: integers are scaled to [-1, 1) (s16 / 32768), floats kept as they are.
  /// Numerics: sums in f64, one rounding to f32; one channel of up to 24 bits passes exactly.
  /// @return false if the frame's sample format is none of u8, s16, s32, s64, f32, f64
  [[nodiscard]] bool mix(const AVFrame& frame, std::vector<float>& mono);

  /// The same with one channel alone; a channel that the frame does not have is silence.
  [[nodiscard]] bool pick(const AVFrame& frame, int channel, std::vector<float>& mono);

  /// Samples so far that were NaN or infinite and were taken as 0.
  std::size_t n_not_finite() const noexcept { return n_not_finite_; }

 private:
  struct Channels {
    int first = 0, count = 0;
  };
  bool mean(const AVFrame& frame, Channels channels, std::vector<float>& mono);
  template <typename Sample>
  void add_channels(const AVFrame& frame, bool is_planar, Channels channels);

  std::vector<double> sums_;  // [samples of the frame]
  std::size_t n_not_finite_ = 0;
};

}  // namespace qasr
