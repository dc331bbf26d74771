// When was each word said: a recording and its text -> times of every word, by a forced aligner
// (Qwen3-ForcedAligner-0.6B and models of its kind). What the numbers mean: docs/alignment.md.
//
//   auto aligner = qasr::Aligner::open("path/to/Qwen3-ForcedAligner-0.6B");
//   qasr::Audio audio = qasr::load_audio("interview.mp3");
//   for (const qasr::Word& word : aligner->align(audio.samples, "Good morning.", {.language = "English"}).words) {
//     std::cout << word.start_s << " " << word.end_s << " " << word.text << "\n";
//   }
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/engine.h"
#include "qasr/export.h"
#include "qasr/options.h"
#include "qasr/transcript.h"

namespace qasr {

/// How the model's choices, a class of 80 ms for every start and end, become times that never run backwards.
enum class TimeCorrection {
  /// The most likely times that lie inside the recording, never run backwards and leave each word at least one class;
  /// between classes where the model hesitates; runs of words on top of each other are spread.
  kRepaired,
  /// What the official package does, bit for bit: the longest non-decreasing subsequence stays, the rest is filled in.
  kOfficial,
};

/// What becomes of combining marks (category M), which the official package deletes.
enum class CombiningMarks {
  kAuto,  ///< deleted in the languages of the official aligner, kept in scripts that are unreadable without them
  kDrop,  ///< deleted: what the official package does in every language
  kKeep,
};

struct WordOptions {
  /// English name or ISO code; "" or "auto": unknown, the general rule.
  std::string language{};
  CombiningMarks marks = CombiningMarks::kAuto;
};

/// A word of a text.
struct TextWord {
  std::string text;          ///< letters and digits, as the aligner reads it: "dont"
  std::string_view surface;  ///< the part of the text that belongs to it, with punctuation and spaces: "“don’t” "
};

/// Divides a text into the words that an aligner gives times to. The surfaces, one after the other, are the whole text,
/// unless it has no words: then there are none.
/// @param text  UTF-8; ill-formed bytes count as punctuation. Must outlive the result
/// @throws Error kInvalidArgument  unknown language
QASR_API std::vector<TextWord> split_words(std::string_view text, const WordOptions& options = {});

/// Languages of the official aligner; others are divided and aligned by the general rule.
QASR_API bool is_aligner_language(std::string_view name_or_code) noexcept;

struct AlignOptions {
  /// "auto" (unknown), an English language name or an ISO code. It chooses how the text is divided into words; the
  /// model does not see it.
  std::string language = "auto";
  TimeCorrection times = TimeCorrection::kRepaired;
  CombiningMarks marks = CombiningMarks::kAuto;
  /// Longest piece of audio given to the model at once; longer recordings are aligned piece by piece. 0: what the
  /// checkpoint recommends, else 60. At most what the model's classes reach (400 s; the official package stops at 180).
  double max_piece_s = 0;
};

/// A recording and what is said in it.
struct AlignItem {
  std::span<const float> samples;  ///< mono PCM, 16 kHz; borrowed
  std::string_view text;           ///< UTF-8; borrowed
  std::string_view language = {};  ///< "": AlignOptions::language
  double start_s = 0;              ///< added to all times: where `samples` begin in a longer recording
};

struct Alignment {
  std::vector<Word> words;  ///< in order; every word of the text, none twice
  double confidence = 0;    ///< mean over the words; 0 without words
  std::string language;     ///< English name; "" if unknown
  double duration_s = 0;
  int n_pieces = 0;                   ///< that the recording was aligned in
  std::vector<std::string> warnings;  ///< one sentence each: text and audio do not match, too many words, language, ...
  Timings timings;                    ///< generated_tokens counts classified slots, two per word
};

/// A forced aligner placed on a backend. Immutable; any number of threads may call one at a time or together.
class QASR_API Aligner {
 public:
  /// @param model_dir  whatever Engine::open takes, but a forced aligner
  /// @throws Error kModel (also for a speech recogniser; names what was found and expected), kOutOfMemory, kDevice
  static std::shared_ptr<const Aligner> open(const std::filesystem::path& model_dir, const EngineOptions& options = {});
  /// The same from files in memory, which must outlive the aligner.
  static std::shared_ptr<const Aligner> open(std::span<const ModelFile> files, const std::string& name,
                                             const EngineOptions& options = {});

  ~Aligner();
  Aligner(const Aligner&) = delete;
  Aligner& operator=(const Aligner&) = delete;

  const ModelInfo& info() const noexcept;
  /// "cpu (avx2, 2 threads)"
  std::string backend_description() const;

  /// Times of all words of the text. A text that was not said in the recording gets times too, with low confidence and
  /// a warning.
  ///
  /// @param samples  mono PCM, f32 in [-1, 1], 16 kHz; any length. Without samples all times are 0
  /// @param text     UTF-8; without words the result has none
  /// @throws Error   kInvalidArgument (unknown language, option out of range, NaN samples), kInput (more words than
  ///                 the model has positions for, beside the shortest piece), kOutOfMemory, kDevice
  Alignment align(std::span<const float> samples, std::string_view text, const AlignOptions& options = {}) const;

  /// Several at once, which costs less than one by one where recordings are short. The result is the same: bit for bit
  /// on CPUs.
  /// @return one for each item, in order
  std::vector<Alignment> align(std::span<const AlignItem> items, const AlignOptions& options = {}) const;

  struct Impl;
  const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit Aligner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// As a transcript of one segment, for the writers of qasr/formats.h.
/// @param text  that was aligned
QASR_API Transcript to_transcript(const Alignment& alignment, std::string_view text);

}  // namespace qasr
