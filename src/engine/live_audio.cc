#include "engine/live_audio.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace qasr {

LiveAudio::LiveAudio(Backend& backend, const Model& model, std::size_t max_samples)
    : backend_(backend),
      model_(model),
      chunk_frames_(model.encoder().config().chunk_frames()),
      chunks_per_window_(
          static_cast<std::size_t>(std::max(1, model.encoder().config().n_window_infer / chunk_frames_))),
      rows_per_chunk_(model.encoder().n_audio_tokens(chunk_frames_)),
      rows_(std::make_shared<DeviceTensor>()) {
  const std::int64_t most_rows = model.encoder().n_audio_tokens(model.log_mel().n_frames(max_samples));
  rows_->resize(backend, {most_rows, model.config().text.hidden});
}

std::int64_t LiveAudio::n_stable_rows() const {
  std::int64_t n_rows = 0;
  for (const Window& window : windows_) {
    if (!window.is_encoded) break;
    n_rows += static_cast<std::int64_t>(chunks_per_window_) * rows_per_chunk_;
  }
  return n_rows;
}

std::size_t LiveAudio::window_end(std::size_t window) const {
  return std::min(chunks_.size(), (window + 1) * chunks_per_window_);
}

std::int64_t LiveAudio::first_row(std::size_t window) const {
  return static_cast<std::int64_t>(window * chunks_per_window_) * rows_per_chunk_;
}

// The last frame sees half a window of samples behind its middle.
std::uint64_t LiveAudio::samples_of_chunks(std::uint64_t n_chunks) const {
  const LogMelConfig& config = model_.log_mel().config();
  const auto hop = static_cast<std::uint64_t>(config.hop_samples);
  const auto behind = static_cast<std::uint64_t>(std::max(0, config.window_samples / 2 - config.hop_samples));
  return n_chunks * static_cast<std::uint64_t>(chunk_frames_) * hop + std::min(behind, hop - 1);
}

void LiveAudio::begin(std::span<const float> samples, std::size_t n_padding, ShortClipPadding padding) {
  padding_ = padding;
  update_logs(samples, n_padding);
  invalidate();
  next_window_ = 0;
  n_kept_rows_ = n_stable_rows();
  while (next_window_ < windows_.size() && windows_[next_window_].is_encoded) ++next_window_;
}

// Logarithms of the frames that are new or saw the end of what was there before.
void LiveAudio::update_logs(std::span<const float> samples, std::size_t n_padding) {
  const LogMel& log_mel = model_.log_mel();
  const int hop = log_mel.config().hop_samples, half = log_mel.config().window_samples / 2;
  n_frames_ = log_mel.n_frames(samples.size());
  // Frames whose samples are all there: what follows does not change them.
  const auto n_samples = static_cast<int>(samples.size() - n_padding);
  const int n_full = n_samples < half ? 0 : std::min(n_frames_, (n_samples - half) / hop + 1);
  const int first = std::min(n_final_, n_full);  // a beginning of the recording before keeps what it has in full
  n_final_ = n_full;
  log_mel.compute_logs(samples, first, fresh_);

  const auto n_chunks = static_cast<std::size_t>((n_frames_ + chunk_frames_ - 1) / chunk_frames_);
  chunks_.resize(n_chunks);
  windows_.resize((n_chunks + chunks_per_window_ - 1) / chunks_per_window_);
  for (auto index = static_cast<std::size_t>(first / chunk_frames_); index < n_chunks; ++index) {
    update_chunk(index, first);
  }
}

// Copies the frames of fresh_, which begins with first_frame, that lie in the chunk.
void LiveAudio::update_chunk(std::size_t index, int first_frame) {
  Chunk& chunk = chunks_[index];
  const int n_mels = fresh_.n_mels, chunk_begin = static_cast<int>(index) * chunk_frames_;
  chunk.logs.resize(static_cast<std::size_t>(n_mels) * static_cast<std::size_t>(chunk_frames_));
  chunk.maxima.resize(static_cast<std::size_t>(chunk_frames_));
  chunk.n_frames = std::min(chunk_frames_, n_frames_ - chunk_begin);
  chunk.minimum = std::numeric_limits<float>::infinity();
  chunk.has_stem = false;
  const int begin = std::max(first_frame, chunk_begin), end = chunk_begin + chunk.n_frames;
  std::fill(chunk.maxima.begin() + (begin - chunk_begin), chunk.maxima.end(), -std::numeric_limits<float>::infinity());
  for (int mel = 0; mel < n_mels; ++mel) {
    const float* from = fresh_.values.data() + static_cast<std::ptrdiff_t>(mel) * fresh_.n_frames - first_frame;
    float* to = chunk.logs.data() + static_cast<std::ptrdiff_t>(mel) * chunk_frames_;
    for (int frame = begin; frame < end; ++frame) {
      to[frame - chunk_begin] = from[frame];
      float& maximum = chunk.maxima[static_cast<std::size_t>(frame - chunk_begin)];
      maximum = std::max(maximum, from[frame]);
    }
    chunk.minimum = std::min(chunk.minimum, *std::min_element(to, to + chunk.n_frames));
  }
}

// Finds the clamp of the recording so far, and what it changes.
void LiveAudio::invalidate() {
  float maximum = -std::numeric_limits<float>::infinity();
  for (const Chunk& chunk : chunks_) {
    for (int frame = 0; frame < chunk.n_frames; ++frame) {
      maximum = std::max(maximum, chunk.maxima[static_cast<std::size_t>(frame)]);
    }
  }
  floor_ = LogMel::clamp_floor(maximum);
  for (std::size_t window = 0; window < windows_.size(); ++window) {
    const bool was_encoded = windows_[window].is_encoded;
    for (std::size_t c = window * chunks_per_window_; c < window_end(window); ++c) {
      Chunk& chunk = chunks_[c];
      const bool same = chunk.floor == floor_ || chunk.minimum >= std::max(chunk.floor, floor_);
      chunk.has_stem = chunk.has_stem && same && is_complete(c);
      if (chunk.has_stem) chunk.floor = floor_;
      if (!chunk.has_stem) windows_[window].is_encoded = false;
    }
    if ((window + 1) * chunks_per_window_ > chunks_.size()) windows_[window].is_encoded = false;
    if (was_encoded && !windows_[window].is_encoded) ++n_windows_again_;
  }
}

// Features of chunks [first_chunk, end_chunk) as one recording: [n_mels, frames].
void LiveAudio::fill_features(std::size_t first_chunk, std::size_t end_chunk) {
  features_.n_mels = model_.log_mel().config().n_mels;
  features_.n_frames = 0;
  for (std::size_t c = first_chunk; c < end_chunk; ++c) features_.n_frames += chunks_[c].n_frames;
  features_.values.clear();
  for (int mel = 0; mel < features_.n_mels; ++mel) {
    for (std::size_t c = first_chunk; c < end_chunk; ++c) {
      const float* row = chunks_[c].logs.data() + static_cast<std::ptrdiff_t>(mel) * chunk_frames_;
      features_.values.insert(features_.values.end(), row, row + chunks_[c].n_frames);
    }
  }
  LogMel::clamp_and_scale(features_.values, floor_);
}

bool LiveAudio::encode_next(EncoderWorkspace& workspace, std::size_t& n_rows) {
  while (next_window_ < windows_.size() && windows_[next_window_].is_encoded) ++next_window_;
  if (next_window_ == windows_.size()) return true;
  const std::size_t window = next_window_++;
  const std::size_t first_chunk = window * chunks_per_window_, end_chunk = window_end(window);
  const bool is_complete_window = end_chunk - first_chunk == chunks_per_window_ && is_complete(end_chunk - 1);
  fill_features(first_chunk, end_chunk);
  const AudioFeatures features{
      .n_mels = features_.n_mels, .n_frames = features_.n_frames, .host = features_.values.data()};
  // Only a recording that is itself shorter than a chunk may be convolved at its own length.
  const ShortClipPadding padding = n_frames_ < chunk_frames_ ? padding_ : ShortClipPadding::kTransformers;
  const std::vector<AudioEncoder::Window> cut = model_.encoder().cut_windows({&features, 1}, padding);
  QASR_CHECK(cut.size() == 1);

  if (stem_window_ != window) {  // the stem holds another window's rows
    for (std::size_t c = first_chunk; c < end_chunk; ++c) chunks_[c].has_stem = false;
    stem_window_ = window;
  }
  std::size_t n_known = 0;
  while (first_chunk + n_known < end_chunk && chunks_[first_chunk + n_known].has_stem) ++n_known;
  model_.encoder().encode_growing_window(cut.front(), n_known, stem_, workspace,
                                         rows_->view().slice_rows(first_row(window), cut.front().n_tokens));
  n_rows += static_cast<std::size_t>(cut.front().n_tokens);
  for (std::size_t c = first_chunk; c < end_chunk; ++c) {
    chunks_[c].has_stem = is_complete(c);
    chunks_[c].floor = floor_;
  }
  windows_[window].is_encoded = is_complete_window;
  return std::all_of(windows_.begin() + static_cast<std::ptrdiff_t>(next_window_), windows_.end(),
                     [](const Window& later) { return later.is_encoded; });
}

}  // namespace qasr
