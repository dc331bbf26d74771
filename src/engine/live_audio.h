// LiveAudio: the audio of one segment that still grows, from samples to encoder rows, computing only what is new.
//
// What is kept from step to step:
//   logarithms of mel energies   of frames that no longer change when samples follow (10 ms each)
//   rows of the encoder          of complete windows (8 s, 104 rows), as long as their features stay what they were
//   rows of the convolution stem of complete chunks (1 s, 13 rows) of the open window, likewise
//
// Features are those of the whole segment so far, as if it were a recording: the clamp of the log-mel hangs on the
// loudest frame so far. When that rises, everything that the old clamp had touched or the new one touches changes, and
// is computed again; what lies above both is not touched and is kept. So the rows are always, bit for bit, those of a
// fresh run over the same samples (on a CPU: row independence of the backend).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/device_tensor.h"
#include "model/model.h"
#include "qasr/options.h"

namespace qasr {

class LiveAudio {
 public:
  /// Borrows both.
  /// @param max_samples  no more are ever encoded
  LiveAudio(Backend& backend, const Model& model, std::size_t max_samples);

  /// The next step is about this recording: the one before with samples appended, or a beginning of it.
  ///   samples    all of them
  ///   n_padding  zeros at the end that are no part of the recording: they will not be there in the next step
  ///   padding    as for AudioEncoder
  void begin(std::span<const float> samples, std::size_t n_padding, ShortClipPadding padding);
  /// Rows that stayed the same since the last step: what was computed from them is still right. Never more than
  /// n_stable_rows() of the last step.
  std::int64_t n_kept_rows() const { return n_kept_rows_; }
  /// Encodes one window and adds its rows to n_rows. True when all rows of the step are there.
  bool encode_next(EncoderWorkspace& workspace, std::size_t& n_rows);

  /// Samples of a recording whose first n_chunks chunks are complete and that has no frame beyond them.
  std::uint64_t samples_of_chunks(std::uint64_t n_chunks) const;
  std::size_t chunks_per_window() const { return chunks_per_window_; }

  int n_frames() const { return n_frames_; }
  /// [n_audio_tokens of the step, ...] f32; more rows than the step has
  const std::shared_ptr<DeviceTensor>& rows() const { return rows_; }
  /// Rows of complete windows: the next step keeps them unless the clamp changes them.
  std::int64_t n_stable_rows() const;
  /// Complete windows that were encoded again because the clamp changed, in all.
  std::size_t n_windows_again() const { return n_windows_again_; }

 private:
  struct Chunk {
    std::vector<float> logs;    // [n_mels, chunk_frames]
    std::vector<float> maxima;  // [chunk_frames] of each frame
    float minimum = 0;          // of all frames
    int n_frames = 0;           // valid ones
    float floor = 0;            // of the clamp its rows were computed with
    bool has_stem = false;      // its rows are in stem_ or in a complete window's
  };
  struct Window {
    bool is_encoded = false;  // as a complete one
  };

  void update_logs(std::span<const float> samples, std::size_t n_padding);
  void update_chunk(std::size_t index, int first_frame);
  void invalidate();
  std::size_t window_end(std::size_t window) const;
  std::int64_t first_row(std::size_t window) const;
  void fill_features(std::size_t first_chunk, std::size_t end_chunk);
  bool is_complete(std::size_t chunk) const { return static_cast<int>((chunk + 1)) * chunk_frames_ <= n_final_; }

  Backend& backend_;
  const Model& model_;
  int chunk_frames_;
  std::size_t chunks_per_window_;
  std::int64_t rows_per_chunk_;

  std::vector<Chunk> chunks_;
  std::vector<Window> windows_;
  LogMelSpectrogram fresh_, features_;
  ShortClipPadding padding_ = ShortClipPadding::kOfficial;
  int n_frames_ = 0;  // of the step
  int n_final_ = 0;   // frames whose logarithms stay when samples are appended
  float floor_ = 0;   // of the step
  std::int64_t n_kept_rows_ = 0;
  std::size_t next_window_ = 0;
  std::size_t stem_window_ = 0;  // whose chunks `stem_` holds
  std::size_t n_windows_again_ = 0;
  std::shared_ptr<DeviceTensor> rows_;  // [max rows, hidden]
  DeviceTensor stem_;                   // rows of the open window's chunks
};

}  // namespace qasr
