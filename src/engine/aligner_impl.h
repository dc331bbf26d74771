// What an Aligner holds.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "engine/placed_model.h"
#include "model/forced_aligner.h"
#include "qasr/align.h"

namespace qasr {

/// One copy of the model on one device, and the memory of a pass; one pass at a time.
class AlignLane {
 public:
  AlignLane(PlacedModel placed, DType kv_dtype);

  const Model& model() const { return *placed_.model; }
  const Backend& backend() const { return *placed_.backend; }
  std::int64_t n_positions(const AlignPiece& piece) const { return aligner_.n_positions(piece); }
  int n_audio_tokens(const AlignPiece& piece) const { return aligner_.n_audio_tokens(piece); }
  /// Most positions that share a pass, unless one piece has more.
  std::int64_t pass_positions() const { return pass_positions_; }

  /// Any thread; waits for the pass before.
  std::vector<SlotScores> classify(std::span<const AlignPiece> pieces, Timings& timings) QASR_EXCLUDES(mutex_);

 private:
  PlacedModel placed_;
  ForcedAligner aligner_;
  std::int64_t pass_positions_;
  Mutex mutex_;
  AlignWorkspace workspace_ QASR_GUARDED_BY(mutex_);
};

struct Aligner::Impl {
  ModelInfo info;
  std::vector<std::unique_ptr<AlignLane>> lanes;  // at least one
  mutable std::atomic<std::size_t> n_passes{0};

  /// Places a copy of the checkpoint on every backend.
  static std::shared_ptr<const Aligner> open(const CheckpointFiles& files, const EngineOptions& options,
                                             std::vector<std::unique_ptr<Backend>> backends);

  const Model& model() const { return lanes.front()->model(); }
  /// Passes take turns.
  AlignLane& next_lane() const { return *lanes[n_passes++ % lanes.size()]; }
};

}  // namespace qasr
