// Whose turn it is while live work is under way: its own, but for a small share of the time, so that recordings go on
// however many streams there are. Between live steps recordings have all of it. docs/scheduler.md explains the policy.
#pragma once

#include <algorithm>

namespace qasr {

class LiveTurns {
 public:
  /// Of the time while live work is under way, for offline work.
  static constexpr double kOfflineShare = 0.1;

  /// Offline work has waited long enough for a piece like its last one.
  bool is_offline_turn() const { return credit_ms_ > 0 && credit_ms_ >= piece_ms_; }
  void add_live(double ms) { credit_ms_ += ms * kOfflineShare / (1 - kOfflineShare); }
  /// A piece of offline work was computed while live work waited.
  void add_offline(double ms) {
    credit_ms_ -= ms;
    piece_ms_ = ms;
  }
  /// No live work was under way: nobody had to wait.
  void reset() { credit_ms_ = std::min(credit_ms_, 0.0); }

 private:
  double credit_ms_ = 0, piece_ms_ = 0;
};

}  // namespace qasr
