// What a transcription returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qasr/export.h"

namespace qasr {

/// Time of the stages, in milliseconds. A call that several segments share counts for each by its share, so the times
/// of all segments add up to the time that was spent.
struct Timings {
  double preprocessing_ms = 0;    ///< log-mel
  double audio_encoding_ms = 0;   ///< audio encoder and projector
  double text_generation_ms = 0;  ///< prefill and decode steps
  double prefill_ms = 0;          ///< part of text_generation_ms
  double alignment_ms = 0;        ///< word times
  int n_frames = 0;               ///< log-mel frames (10 ms each)
  int n_audio_tokens = 0;         ///< rows the encoder produced
  int n_prompt_tokens = 0;        ///< rows prefilled, audio tokens included
  int n_generated_tokens = 0;     ///< end token included

  Timings& operator+=(const Timings& more) noexcept {
    preprocessing_ms += more.preprocessing_ms;
    audio_encoding_ms += more.audio_encoding_ms;
    text_generation_ms += more.text_generation_ms;
    prefill_ms += more.prefill_ms;
    alignment_ms += more.alignment_ms;
    n_frames += more.n_frames;
    n_audio_tokens += more.n_audio_tokens;
    n_prompt_tokens += more.n_prompt_tokens;
    n_generated_tokens += more.n_generated_tokens;
    return *this;
  }
};

/// One token of the text.
struct Token {
  std::int32_t id = 0;
  float log_prob = 0;  ///< natural logarithm of its probability (softmax of the model's logits, before any option)
  std::string bytes;   ///< UTF-8, perhaps a part of a character
};

/// What a reader of the transcript should know about a segment.
enum class NoteKind {
  kNoSpeech,             ///< the model heard no speech
  kTruncated,            ///< the token limit ended the answer
  kRepetitionRecovered,  ///< the answer looped or ran on; transcribing again helped
  kRepetition,           ///< the answer looped or ran on; nothing helped, the text is what came before the loop
  kWordTimes,            ///< the aligner doubts the times of words, or gave none
};

/// "repetition", "repetition_recovered", "no_speech", "truncated", "word_times": for JSON.
QASR_API const char* note_name(NoteKind kind) noexcept;

struct SegmentNote {
  NoteKind kind = NoteKind::kNoSpeech;
  std::string message;  ///< one sentence with the numbers, for people
};

/// A word with its own times, in seconds from the beginning of the recording.
struct Word {
  double start_s = 0;
  double end_s = 0;
  std::string text;       ///< letters and digits only, as the aligner reads it
  std::string surface{};  ///< its part of the text, with punctuation and spaces: all surfaces together are the text
  double confidence = 0;  ///< probability that both times are right to within a class (80 ms); docs/alignment.md
};

/// One piece of the recording that was given to the model at once.
struct Segment {
  double start_s = 0;
  double end_s = 0;
  std::string text;
  std::string language;    ///< English name, "" if unknown or no speech
  std::string raw_text;    ///< the decoded answer before parsing, e.g. "language English<asr_text>Hello."
  bool truncated = false;  ///< the token budget ended the answer, not the model
  /// The text's tokens: no language tag, no end token. Their bytes are the text unless the clean-up of repetitions or
  /// white space at the ends changed it.
  std::vector<Token> tokens;
  double avg_log_prob = 0;  ///< mean over `tokens`; 0 without tokens
  double confidence = 0;    ///< exp(avg_log_prob): geometric mean of the tokens' probabilities; 0 without tokens
  double temperature = 0;   ///< that the answer was drawn with
  std::vector<SegmentNote> notes;
  Timings timings;
  std::vector<Word> words;  ///< empty unless word times were asked for
  int channel = -1;         ///< of the recording, 0 is the first; -1: the mix of all
  double speech_s = -1;     ///< how much of it the voice activity detector took for speech; -1: it did not run

  bool has_note(NoteKind kind) const {
    for (const SegmentNote& note : notes) {
      if (note.kind == kind) return true;
    }
    return false;
  }
};

/// A stretch the voice activity detector left out: nothing in it was given to the model.
struct NonSpeech {
  double start_s = 0;
  double end_s = 0;
  int channel = -1;  ///< as Segment::channel
};

struct Transcript {
  std::string text;
  std::string language;  ///< languages of the segments, joined by commas, consecutive duplicates dropped
  double duration_s = 0;
  std::vector<Segment> segments;
  std::vector<NonSpeech> non_speech;  ///< in order
  std::vector<std::string> warnings;  ///< about the recording as a whole, one sentence each (damage, limits)
  bool truncated = false;             ///< true if any segment is
  Timings timings;
};

}  // namespace qasr
