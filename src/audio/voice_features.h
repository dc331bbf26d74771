// What the voice activity detector looks at: one record per frame of 10 ms, computed as samples arrive.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "audio/stft.h"

namespace qasr {

/// Frame t describes samples [160 t, 160 t + 160); its windows are centred on the middle of them.
struct VoiceFrameFeatures {
  static constexpr int kBands = 20;
  float level_db = 0;                    ///< power of the 32 ms window relative to full scale, not below kSilenceDb
  std::array<float, kBands> bands_db{};  ///< the same in bands of equal mel width, 100 Hz to 7.4 kHz
  float voicing = 0;                     ///< largest normalised autocorrelation at a pitch of 66 to 400 Hz, 0 to 1
  float pitch_octave = 0;                ///< log2 of that pitch in Hz
  float tone_similarity = 0;             ///< correlation of the fine spectrum with that 120 ms before, -1 to 1
  float power = 0;                       ///< of level_db
  std::array<float, 3> thirds_db{};      ///< means of bands_db below 0.9 kHz, above 2.9 kHz (last) and between
  float change_db = 0;                   ///< mean absolute difference of bands_db to two frames before
};

/// Levels below are digital silence.
inline constexpr float kSilenceDb = -100;

class VoiceFeatures {
 public:
  VoiceFeatures();

  /// Appends the frames that `samples` completes; a frame needs 544 samples behind its beginning.
  void push(std::span<const float> samples, std::vector<VoiceFrameFeatures>& out);
  /// Appends the rest as if silence followed: ceil(n_samples / 160) frames in all.
  void finish(std::vector<VoiceFrameFeatures>& out);

 private:
  static constexpr int kFineBins = 192;  // 0 to 3 kHz

  void add_frame(std::vector<VoiceFrameFeatures>& out);
  void band_levels(const float* window, VoiceFrameFeatures& frame);
  void summarise(VoiceFrameFeatures& frame);
  void pitch(const float* window, VoiceFrameFeatures& frame);
  void tones(const float* window);

  Stft stft_, fine_stft_;
  Stft::Scratch scratch_, fine_scratch_;
  std::vector<float> buffer_;  // from kPastSamples samples before the next frame
  std::vector<float> power_, fine_power_;
  std::array<int, VoiceFrameFeatures::kBands + 1> band_bins_{};
  std::array<std::array<float, VoiceFrameFeatures::kBands>, 2> before_db_{};  // bands of the last two frames
  std::array<std::array<float, kFineBins>, 4> fine_{};  // of the last four times the fine spectrum was taken
  std::size_t n_frames_ = 0, n_samples_ = 0;
  float similarity_ = 0;
};

}  // namespace qasr
