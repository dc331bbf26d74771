// Samples -> log-mel features where the encoder's backend wants them: computed on the backend if it has log_mel, else
// on the host. Hop 5 of the walk.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "audio/log_mel.h"
#include "backend/backend.h"
#include "backend/device_tensor.h"

namespace qasr {

/// Log-mel of one recording: in host memory, or in a tensor of the backend.
struct AudioFeatures {
  int n_mels = 0, n_frames = 0;
  const float* host = nullptr;  ///< [n_mels, n_frames]; null: on the backend
  ConstTensorView tensor{};     ///< [n] f32; this recording is [n_mels, n_frames] from `begin` on
  std::int32_t begin = 0;
};

/// Memory of one caller, reused from call to call.
struct FrontEndWorkspace {
  std::vector<LogMelSpectrogram> spectrograms;  // on the host, one per recording
  DeviceTensor samples;                         // [sum of samples]
  DeviceTensor values;                          // [sum of n_mels * n_frames]
  std::vector<std::int32_t> sample_begin;
  std::vector<AudioFeatures> features;
};

class FrontEnd {
 public:
  /// Borrows both.
  FrontEnd(const LogMel& log_mel, Backend& backend);

  /// Features of every recording; they live in the workspace.
  ///   recordings  16 kHz samples, any lengths
  std::span<const AudioFeatures> compute(std::span<const std::span<const float>> recordings,
                                         FrontEndWorkspace& workspace) const;

 private:
  void compute_on_backend(std::span<const std::span<const float>> recordings, FrontEndWorkspace& workspace) const;

  const LogMel& log_mel_;
  Backend& backend_;
  std::unique_ptr<LogMelFilter> filter_;  // null: the host computes
};

}  // namespace qasr
