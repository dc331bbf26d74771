// AlignTask: one recording and its words on their way through a forced aligner, piece by piece.
//
// A recording that fits into one piece is aligned at once. A longer one: the next piece is given somewhat more words
// than it can hold; those that the model is sure of are taken, up to a pause, and the piece after it begins in that
// pause with the first word that was not taken. So no word is lost or comes twice, whatever the model says. Knows no
// model: scores come from the caller. docs/alignment.md describes the rules and their limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/slot_scores.h"
#include "model/time_classes.h"
#include "qasr/align.h"

namespace qasr {

struct AlignLimits {
  std::size_t max_piece_samples = 0;
  std::int64_t max_positions = 0;     ///< of the decoder
  double audio_positions_per_s = 13;  ///< that audio takes of them
};

class AlignTask {
 public:
  /// Borrows the item's samples and text.
  ///   words   of the text
  ///   n_ids   [words.size()] token ids of each
  AlignTask(const AlignItem& item, std::vector<TextWord> words, std::vector<int> n_ids, TimeCorrection times,
            const AlignLimits& limits);

  /// Every word has its times.
  bool is_done() const { return next_word_ == words_.size(); }

  /// Audio and words that are to be scored together.
  struct Piece {
    std::size_t first_sample = 0, n_samples = 0;
    std::size_t first_word = 0, n_words = 0;
  };
  const Piece& piece() const { return piece_; }
  /// Takes the scores of that piece and chooses the next.
  void accept(const SlotScores& scores);

  /// Once done. Language and timings are the caller's.
  Alignment take();

 private:
  void choose_piece();
  std::size_t n_fitting_words(double piece_s, bool is_last) const;
  std::vector<WordTime> times(const SlotScores& scores, std::size_t n_words, const std::vector<WordTime>& found) const;
  std::size_t choose_cut(const std::vector<WordTime>& found, std::size_t n_certain) const;
  void skip_audio();
  void finish(const SlotScores& scores, const std::vector<WordTime>& found);
  void spread_rest(double begin_s);
  void add_words(const std::vector<WordTime>& found, double begin_s);
  void stamp_rest();
  double piece_begin_s() const;
  double total_s() const;
  bool is_last_piece() const { return piece_.first_sample + piece_.n_samples == item_.samples.size(); }

  AlignItem item_;
  std::vector<TextWord> words_;
  std::vector<int> n_ids_, letters_;  // [words]
  TimeCorrection correction_;
  AlignLimits limits_;
  Piece piece_;
  std::size_t begin_sample_ = 0;  // of the next piece
  std::size_t next_word_ = 0;     // the first without times
  double letters_per_s_ = 0;      // of what was taken last; 0: nothing yet
  int n_retries_ = 0;             // of last pieces
  double lost_at_s_ = -1;         // where the words were not found any more; -1: they were
  Alignment result_;
};

}  // namespace qasr
