#include "model/front_end.h"

#include <algorithm>
#include <limits>

namespace qasr {

FrontEnd::FrontEnd(const LogMel& log_mel, Backend& backend) : log_mel_(log_mel), backend_(backend) {
  const LogMelConfig& config = log_mel.config();
  if (config.fft_samples != config.window_samples) return;  // zero-padded transforms are the host's
  filter_ = backend.make_log_mel(log_mel.window(), log_mel.filterbank(), config.n_mels, config.hop_samples);
}

std::span<const AudioFeatures> FrontEnd::compute(std::span<const std::span<const float>> recordings,
                                                 FrontEndWorkspace& workspace) const {
  workspace.features.clear();
  if (filter_ != nullptr) {
    compute_on_backend(recordings, workspace);
    return workspace.features;
  }
  workspace.spectrograms.resize(recordings.size());
  for (std::size_t r = 0; r < recordings.size(); ++r) {
    LogMelSpectrogram& spectrogram = workspace.spectrograms[r];
    log_mel_.compute(recordings[r], spectrogram);
    workspace.features.push_back(
        {.n_mels = spectrogram.n_mels, .n_frames = spectrogram.n_frames, .host = spectrogram.values.data()});
  }
  return workspace.features;
}

void FrontEnd::compute_on_backend(std::span<const std::span<const float>> recordings,
                                  FrontEndWorkspace& workspace) const {
  std::int64_t n_samples = 0, n_values = 0;
  const int n_mels = filter_->n_mels();
  for (const std::span<const float>& recording : recordings) {
    const int n_frames = log_mel_.n_frames(recording.size());
    workspace.features.push_back(
        {.n_mels = n_mels, .n_frames = n_frames, .begin = static_cast<std::int32_t>(n_values)});
    n_samples += static_cast<std::int64_t>(recording.size());
    n_values += std::int64_t{n_frames} * n_mels;
    QASR_CHECK_MSG(std::max(n_samples, n_values) <= std::numeric_limits<std::int32_t>::max(), "hours of audio at once");
  }
  const TensorView samples = workspace.samples.resize(backend_, {n_samples});
  const TensorView values = workspace.values.resize(backend_, {n_values});
  workspace.sample_begin.assign(1, 0);
  for (const std::span<const float>& recording : recordings) {
    const std::int32_t begin = workspace.sample_begin.back();
    backend_.upload(
        recording.data(),
        {static_cast<float*>(samples.data) + begin, DType::kF32, {static_cast<std::int64_t>(recording.size())}});
    workspace.sample_begin.push_back(begin + static_cast<std::int32_t>(recording.size()));
  }
  backend_.log_mel(samples, workspace.sample_begin, *filter_, values);
  for (AudioFeatures& features : workspace.features) features.tensor = values;
}

}  // namespace qasr
