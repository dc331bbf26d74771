// Pieces of long recordings, with an aligner that knows the truth: no word lost or doubled, whatever the text is like.
#include "engine/align_task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "qasr/audio.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr double kClassS = 0.08;

// What was said and when.
struct Spoken {
  std::string text;
  std::vector<double> start_s, end_s;
  double duration_s = 0;
};

// n words of 0.3 s or so with pauses; every tenth pause is long.
Spoken speak(int n_words, double first_s = 0.5) {
  Spoken spoken;
  std::minstd_rand random(7);
  double at_s = first_s;
  for (int word = 0; word < n_words; ++word) {
    spoken.text += "word" + std::to_string(word) + (word % 10 == 9 ? ". " : " ");
    spoken.start_s.push_back(at_s);
    at_s += 0.2 + 0.05 * static_cast<double>(random() % 5);
    spoken.end_s.push_back(at_s);
    at_s += word % 10 == 9 ? 0.6 : 0.08 * static_cast<double>(random() % 2);
  }
  spoken.duration_s = at_s + 0.5;
  return spoken;
}

// Scores as a good model gives them: sure of words inside the piece, at a loss with all others. `truth` has a time for
// each word of the text; a negative one was not said. Nothing behind `sight_s` of a piece is seen.
SlotScores scores_of(const AlignTask::Piece& piece, const Spoken& truth, double sight_s = 1e9) {
  const double begin_s = static_cast<double>(piece.first_sample) / kSampleRate;
  const double piece_s = static_cast<double>(piece.n_samples) / kSampleRate;
  SlotScores scores{.n_audio_classes = static_cast<int>(std::ceil(piece_s / kClassS)) + 1};
  scores.width = scores.n_audio_classes + 1;
  constexpr float kRest = -8.5F;  // of 5000 classes
  for (std::size_t word = piece.first_word; word < piece.first_word + piece.n_words; ++word) {
    const bool is_inside = truth.start_s[word] >= 0 && truth.start_s[word] >= begin_s - 0.05 &&
                           truth.end_s[word] <= begin_s + std::min(piece_s, sight_s);
    for (const double time_s : {truth.start_s[word], truth.end_s[word]}) {
      const int time_class = static_cast<int>(std::lround((time_s - begin_s) / kClassS));
      for (int c = 0; c < scores.width; ++c) scores.logits.push_back(is_inside && c == time_class ? -0.1F : kRest);
      scores.log_sum.push_back(0);
      scores.best.push_back(is_inside ? time_class : 4999);
    }
  }
  return scores;
}

AlignTask make_task(const AlignItem& item, double max_piece_s, std::int64_t max_positions = 65536) {
  std::vector<TextWord> words = split_words(item.text);
  std::vector<int> n_ids(words.size(), 2);
  return AlignTask(
      item, std::move(words), std::move(n_ids), TimeCorrection::kRepaired,
      {.max_piece_samples = static_cast<std::size_t>(max_piece_s * kSampleRate), .max_positions = max_positions});
}

Alignment align(const Spoken& spoken, double max_piece_s, double start_s = 0, double sight_s = 1e9) {
  const std::vector<float> samples(static_cast<std::size_t>(spoken.duration_s * kSampleRate));
  AlignTask task = make_task({.samples = samples, .text = spoken.text, .start_s = start_s}, max_piece_s);
  for (int round = 0; !task.is_done(); ++round) {
    if (round > 1000) throw std::runtime_error("the task does not end");
    task.accept(scores_of(task.piece(), spoken, sight_s));
  }
  return task.take();
}

void expect_all_words_in_order(const Alignment& alignment, const Spoken& spoken) {
  const std::vector<TextWord> words = split_words(spoken.text);
  ASSERT_EQ(alignment.words.size(), words.size());
  double last_s = 0;
  for (std::size_t word = 0; word < words.size(); ++word) {
    EXPECT_EQ(alignment.words[word].text, words[word].text);
    EXPECT_EQ(alignment.words[word].surface, words[word].surface);
    EXPECT_GE(alignment.words[word].start_s, last_s - 1e-9) << word;
    EXPECT_GE(alignment.words[word].end_s, alignment.words[word].start_s);
    last_s = alignment.words[word].end_s;
  }
}

void expect_times(const Alignment& alignment, const Spoken& spoken, double start_s = 0) {
  expect_all_words_in_order(alignment, spoken);
  for (std::size_t word = 0; word < alignment.words.size(); ++word) {
    if (spoken.start_s[word] < 0) continue;
    EXPECT_NEAR(alignment.words[word].start_s, start_s + spoken.start_s[word], 0.05) << word;
    EXPECT_NEAR(alignment.words[word].end_s, start_s + spoken.end_s[word], 0.05) << word;
  }
}

TEST(AlignTask, OnePiece) {
  const Spoken spoken = speak(50);
  const Alignment alignment = align(spoken, 60, 100);
  EXPECT_EQ(alignment.n_pieces, 1);
  EXPECT_TRUE(alignment.warnings.empty());
  EXPECT_GT(alignment.confidence, 0.8);
  for (std::size_t word = 0; word < 50; ++word) {
    EXPECT_NEAR(alignment.words[word].start_s, 100 + spoken.start_s[word], 0.05);
  }
}

TEST(AlignTask, LongRecordingsLoseAndDoubleNothing) {
  const Spoken spoken = speak(1800);  // ten minutes
  for (const double max_piece_s : {10.0, 23.0, 60.0, 180.0}) {
    const Alignment alignment = align(spoken, max_piece_s);
    expect_times(alignment, spoken);
    EXPECT_TRUE(alignment.warnings.empty());
    // Little is looked at twice.
    EXPECT_LE(alignment.n_pieces, 1 + static_cast<int>(1.7 * spoken.duration_s / max_piece_s)) << max_piece_s;
  }
}

TEST(AlignTask, ModelsThatLoseTheirWayAreLedBack) {
  const Spoken spoken = speak(150);
  const Alignment alignment = align(spoken, 60, 0, 15);
  expect_times(alignment, spoken);
  EXPECT_TRUE(alignment.warnings.empty());
  EXPECT_LE(alignment.n_pieces, 6);
}

TEST(AlignTask, LongSilencesAnywhere) {
  Spoken spoken = speak(300, 150);  // more than two pieces of silence before the first word
  for (std::size_t word = 150; word < 300; ++word) {
    spoken.start_s[word] += 200;
    spoken.end_s[word] += 200;
  }
  spoken.duration_s += 350;  // and behind the last
  const Alignment alignment = align(spoken, 60);
  expect_times(alignment, spoken);
  EXPECT_EQ(alignment.warnings.size(), 2u);  // two stretches without a word of the text
}

TEST(AlignTask, WordsThatNobodySaidDoNotStopIt) {
  Spoken spoken = speak(600);
  for (std::size_t word = 200; word < 212; ++word) spoken.start_s[word] = -1;
  expect_times(align(spoken, 30), spoken);
}

TEST(AlignTask, AnotherTextIsSpreadAndReported) {
  Spoken spoken = speak(600);
  std::fill(spoken.start_s.begin(), spoken.start_s.end(), -1);
  const Alignment alignment = align(spoken, 30);
  expect_all_words_in_order(alignment, spoken);
  EXPECT_LT(alignment.confidence, 0.1);
  EXPECT_EQ(alignment.warnings.size(), 2u);
  EXPECT_GT(alignment.words[300].start_s, 0.4 * spoken.duration_s);
}

TEST(AlignTask, TheEndOfTheTextIsAnother) {
  Spoken spoken = speak(600);
  std::fill(spoken.start_s.begin() + 400, spoken.start_s.end(), -1);
  expect_times(align(spoken, 30), spoken);
}

TEST(AlignTask, FarMoreWordsThanAudio) {
  Spoken spoken = speak(10000);
  spoken.duration_s = 5;
  const Alignment alignment = align(spoken, 60);
  expect_all_words_in_order(alignment, spoken);
  EXPECT_LE(alignment.words.back().end_s, 5.0);
  EXPECT_EQ(alignment.warnings.size(), 2u);  // too many; hardly match
  spoken.duration_s = 0;
  EXPECT_EQ(align(spoken, 60).words.back().end_s, 0.0);
}

TEST(AlignTask, NoWords) {
  Spoken nothing{.text = "... !", .start_s = {}, .end_s = {}, .duration_s = 3};
  const Alignment alignment = align(nothing, 60);
  EXPECT_TRUE(alignment.words.empty());
  EXPECT_EQ(alignment.confidence, 0);
  EXPECT_EQ(alignment.n_pieces, 0);
}

TEST(AlignTask, TooFewPositionsForAWord) {
  const std::vector<float> samples(16000 * 60);
  EXPECT_THROW(make_task({.samples = samples, .text = "word"}, 60, 800), Error);
  EXPECT_NO_THROW(make_task({.samples = samples, .text = "word"}, 50, 800));
}

}  // namespace
}  // namespace qasr
