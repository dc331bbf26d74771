// What the forced aligner says about the slots of one piece: word w has slots 2w (start) and 2w + 1 (end).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace qasr {

struct SlotScores {
  int class_ms = 80;           ///< class c is the time c * class_ms from the beginning of the piece
  int n_audio_classes = 0;     ///< classes inside the audio: 0 .. n - 1, the last one at or behind its end
  int width = 0;               ///< classes whose logits are here: 0 .. width - 1, at least n_audio_classes
  std::vector<float> logits;   ///< [n_slots, width]
  std::vector<float> log_sum;  ///< [n_slots] log of the sum over all classes of exp(logit)
  std::vector<int> best;       ///< [n_slots] most likely of all classes, also of those behind the audio's end

  std::size_t n_slots() const { return best.size(); }
  std::span<const float> row(std::size_t slot) const {
    return std::span(logits).subspan(slot * static_cast<std::size_t>(width), static_cast<std::size_t>(width));
  }
  /// Natural logarithm of the class's probability.
  float log_prob(std::size_t slot, int time_class) const {
    return logits[slot * static_cast<std::size_t>(width) + static_cast<std::size_t>(time_class)] - log_sum[slot];
  }
};

}  // namespace qasr
