#include "engine/align_task.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "base/utf8.h"
#include "qasr/audio.h"
#include "qasr/error.h"

namespace qasr {
namespace {

constexpr double kCertain = 0.3;        // confidence from which a word counts as found
constexpr double kMissCost = 0.5;       // what a word that was not found counts against one that was
constexpr double kLeastFound = 3;       // such words, net, before a piece is believed
constexpr double kExpectedS = 2;        // how soon after the words before it a word is expected
constexpr double kGuardS = 0.5;         // words that end this close to a cut may be cut
constexpr double kLastPart = 0.75;      // of the words found: pauses are looked for behind it
constexpr double kLongestLeadS = 0.3;   // silence taken along in front of the next piece's first word
constexpr double kSurplus = 1.4;        // letters given to a piece, relative to the mean of the recording
constexpr double kRecentSurplus = 1.2;  // the same, relative to the piece before
constexpr int kExtraLetters = 100;
constexpr double kWordPositionsPerS = 48;  // most positions of the decoder that words get, per second of audio
constexpr std::int64_t kExtraPositions = 512;
constexpr int kMostRetries = 10;   // of the rest of a last piece
constexpr double kDoubtful = 0.3;  // mean confidence below which text and audio do not match

int count_letters(std::string_view text) { return static_cast<int>(decode_utf8(text).size()); }

template <typename... Values>
std::string sentence(const char* pattern, Values... values) {
  char text[200];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

// How many words from the first on were found: where found words outnumber others the most. 0 if that is too few; one
// is enough where it is expected.
//   goes_on  the words before the first were found where the piece begins
std::size_t count_found(const std::vector<WordTime>& words, double latest_end_s, bool goes_on) {
  const bool is_expected = goes_on && words.front().start_s < kExpectedS;
  const double least = is_expected ? 1 : std::min(kLeastFound, static_cast<double>(words.size()));
  double balance = 0, most = least - 1e-9;
  std::size_t count = 0;
  for (std::size_t word = 0; word < words.size(); ++word) {
    const bool is_found = words[word].confidence >= kCertain && words[word].end_s <= latest_end_s;
    balance += is_found ? 1 : -kMissCost;
    if (is_found && balance > most) {
      most = balance;
      count = word + 1;
    }
  }
  return count;
}

}  // namespace

AlignTask::AlignTask(const AlignItem& item, std::vector<TextWord> words, std::vector<int> n_ids, TimeCorrection times,
                     const AlignLimits& limits)
    : item_(item), words_(std::move(words)), n_ids_(std::move(n_ids)), correction_(times), limits_(limits) {
  for (const TextWord& word : words_) letters_.push_back(count_letters(word.text));
  result_.duration_s = total_s();
  result_.words.reserve(words_.size());
  if (item_.samples.empty()) stamp_rest();
  if (!is_done()) choose_piece();
}

double AlignTask::total_s() const { return static_cast<double>(item_.samples.size()) / kSampleRate; }
double AlignTask::piece_begin_s() const { return static_cast<double>(piece_.first_sample) / kSampleRate; }

void AlignTask::choose_piece() {
  const std::size_t n_left = item_.samples.size() - begin_sample_;
  const std::size_t n_samples = std::min(n_left, limits_.max_piece_samples);
  piece_ = {.first_sample = begin_sample_, .n_samples = n_samples, .first_word = next_word_};
  const double piece_s = static_cast<double>(n_samples) / kSampleRate;
  piece_.n_words = n_fitting_words(piece_s, n_samples == n_left);
  if (piece_.n_words > 0) return;
  throw Error(ErrorCode::kInput,
              sentence("aligning: a piece of %.1f s and a word of %d tokens need more positions than "
                       "the model's %lld; set a smaller max_piece_s",
                       piece_s, n_ids_[next_word_], static_cast<long long>(limits_.max_positions)));
}

// More words than the piece is likely to hold, where more audio follows; no more than speech can have in any case.
std::size_t AlignTask::n_fitting_words(double piece_s, bool is_last) const {
  const double left_s = total_s() - static_cast<double>(begin_sample_) / kSampleRate;
  const auto from = static_cast<std::ptrdiff_t>(next_word_);
  const double mean_per_s = std::accumulate(letters_.begin() + from, letters_.end(), 0.0) / std::max(left_s, 1e-3);
  const double letters_per_s = std::max(kSurplus * mean_per_s, kRecentSurplus * letters_per_s_);
  double letters_left = letters_per_s * piece_s + kExtraLetters;
  const auto audio_positions = static_cast<std::int64_t>(piece_s * limits_.audio_positions_per_s) + 64;
  std::int64_t positions_left = std::min(kExtraPositions + static_cast<std::int64_t>(kWordPositionsPerS * piece_s),
                                         limits_.max_positions - audio_positions);
  std::size_t count = 0;
  for (std::size_t word = next_word_; word < words_.size(); ++word, ++count) {
    positions_left -= n_ids_[word] + 2;
    letters_left -= letters_[word];
    if (positions_left < 0 || (!is_last && letters_left < 0)) break;
  }
  return count;
}

// Of the first words of the piece. Without the ones behind them, which pull at the path; where all are wanted, `found`
// is the answer already.
std::vector<WordTime> AlignTask::times(const SlotScores& scores, std::size_t n_words,
                                       const std::vector<WordTime>& found) const {
  if (correction_ == TimeCorrection::kOfficial) return official_times(scores, n_words);
  if (n_words == found.size()) return found;
  const std::span<const int> letters = std::span(letters_).subspan(piece_.first_word, n_words);
  return repaired_times(scores, n_words, letters, static_cast<double>(piece_.n_samples) / kSampleRate);
}

void AlignTask::accept(const SlotScores& scores) {
  ++result_.n_pieces;
  const double piece_s = static_cast<double>(piece_.n_samples) / kSampleRate;
  const bool is_last = is_last_piece();
  const std::span<const int> letters = std::span(letters_).subspan(piece_.first_word, piece_.n_words);
  const std::vector<WordTime> found = repaired_times(scores, piece_.n_words, letters, piece_s);
  const std::size_t n_found = count_found(found, is_last ? piece_s : piece_s - kGuardS, lost_at_s_ < 0);
  const bool are_all = n_found == piece_.n_words && next_word_ + n_found == words_.size();
  if (n_found > 0 && lost_at_s_ >= 0) {
    result_.warnings.push_back(
        sentence("the words that follow %.1f s were not found before %.1f s: that part of the "
                 "recording is not in the text",
                 item_.start_s + lost_at_s_, item_.start_s + piece_begin_s()));
    lost_at_s_ = -1;
  }
  // Models lose their way in pieces that are long for them: what follows the last word found is worth another look.
  const bool goes_on = is_last && n_found > 0 && n_found < piece_.n_words && n_retries_ < kMostRetries &&
                       correction_ == TimeCorrection::kRepaired;
  n_retries_ += goes_on ? 1 : 0;
  if (are_all || (is_last && !goes_on)) {
    finish(scores, found);
  } else if (n_found == 0) {
    skip_audio();
  } else {
    const std::size_t n_taken = choose_cut(found, n_found);
    add_words(times(scores, n_taken, found), piece_begin_s());
    const double end_s = found[n_taken - 1].end_s;
    const double pause_s = n_taken < n_found ? std::max(found[n_taken].start_s - end_s, 0.0) : 0;
    letters_per_s_ = std::accumulate(letters.begin(), letters.begin() + static_cast<std::ptrdiff_t>(n_taken), 0.0) /
                     std::max(end_s, 0.1);
    const double lead_s = std::max(pause_s / 2, pause_s - kLongestLeadS);
    begin_sample_ += static_cast<std::size_t>((end_s + lead_s) * kSampleRate);
  }
  if (!is_done()) choose_piece();
}

// How many of the words found are taken: up to the longest pause among the last of them.
std::size_t AlignTask::choose_cut(const std::vector<WordTime>& found, std::size_t n_found) const {
  std::size_t cut = n_found;
  double longest_s = -1;
  const auto first = static_cast<std::size_t>(kLastPart * static_cast<double>(n_found));
  for (std::size_t word = std::max<std::size_t>(first, 1); word < n_found; ++word) {
    const double pause_s = found[word].start_s - found[word - 1].end_s;
    const bool is_certain = found[word].confidence >= kCertain && found[word - 1].confidence >= kCertain;
    if (!is_certain || pause_s < longest_s) continue;
    longest_s = pause_s;
    cut = word;
  }
  return cut;
}

// Nothing was found: perhaps the text leaves this part of the recording out.
void AlignTask::skip_audio() {
  if (lost_at_s_ < 0) lost_at_s_ = piece_begin_s();
  begin_sample_ += std::max<std::size_t>(limits_.max_piece_samples / 2, 1);
}

void AlignTask::finish(const SlotScores& scores, const std::vector<WordTime>& found) {
  if (lost_at_s_ >= 0) return spread_rest(lost_at_s_);
  add_words(times(scores, piece_.n_words, found), piece_begin_s());
  stamp_rest();
}

// The rest of the text was found nowhere: it is spread evenly over the rest of the recording.
void AlignTask::spread_rest(double begin_s) {
  const auto from = static_cast<std::ptrdiff_t>(next_word_);
  const double all = std::max(std::accumulate(letters_.begin() + from, letters_.end(), 0.0), 1.0);
  std::vector<WordTime> spread;
  double done = 0;
  for (std::size_t word = next_word_; word < words_.size(); ++word) {
    const double start = done / all, end = (done += letters_[word]) / all;
    spread.push_back({.start_s = start * (total_s() - begin_s), .end_s = end * (total_s() - begin_s)});
  }
  result_.warnings.push_back(
      sentence("%zu words from %.1f s on were not found in the recording; their times are a guess", spread.size(),
               item_.start_s + begin_s));
  add_words(spread, begin_s);
}

// More words than anyone can say in what is left.
void AlignTask::stamp_rest() {
  const std::size_t n_rest = words_.size() - next_word_;
  if (n_rest == 0) return;
  result_.warnings.push_back(sentence("%zu of %zu words are more than %.1f s of audio can hold; they stand at its end",
                                      n_rest, words_.size(), total_s()));
  add_words(std::vector<WordTime>(n_rest, {.start_s = total_s(), .end_s = total_s()}), 0);
}

void AlignTask::add_words(const std::vector<WordTime>& found, double begin_s) {
  for (const WordTime& time : found) {
    TextWord& word = words_[next_word_++];
    result_.words.push_back({.start_s = item_.start_s + begin_s + time.start_s,
                             .end_s = item_.start_s + begin_s + time.end_s,
                             .text = std::move(word.text),
                             .surface = std::string(word.surface),
                             .confidence = time.confidence});
  }
}

Alignment AlignTask::take() {
  const std::size_t n_words = result_.words.size();
  for (const Word& word : result_.words) result_.confidence += word.confidence / static_cast<double>(n_words);
  if (n_words > 0 && result_.confidence < kDoubtful) {
    result_.warnings.push_back(sentence("text and recording hardly match: the mean confidence of the %zu words is %.2f",
                                        n_words, result_.confidence));
  }
  return std::move(result_);
}

}  // namespace qasr
