// What a transcription returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qasr/export.h"

namespace qasr {

/// Wall-clock time of the stages, in milliseconds.
struct Timings {
  double preprocessing_ms = 0;    ///< log-mel
  double audio_encoding_ms = 0;   ///< audio encoder and projector
  double text_generation_ms = 0;  ///< prefill and decode steps
  double prefill_ms = 0;          ///< part of text_generation_ms
  int n_frames = 0;               ///< log-mel frames (10 ms each)
  int n_audio_tokens = 0;         ///< rows the encoder produced
  int n_prompt_tokens = 0;        ///< rows prefilled, audio tokens included
  int n_generated_tokens = 0;     ///< end token included
};

/// One generated token of the transcript's text (the language prefix and the end token are not among them).
struct Token {
  std::int32_t id = 0;
  std::string bytes;    ///< what it stands for; may be part of a UTF-8 character
  float logprob = 0;    ///< natural logarithm of its probability, before any penalty or temperature
};

/// A word with its own times, in seconds from the beginning of the recording.
struct Word {
  double start_s = 0;
  double end_s = 0;
  std::string text;
};

/// One piece of the recording that was given to the model at once.
struct Segment {
  double start_s = 0;
  double end_s = 0;
  std::string text;
  std::string language;    ///< English name, "" if unknown or no speech
  std::string raw_text;    ///< the decoded answer before parsing, e.g. "language English<asr_text>Hello."
  bool truncated = false;  ///< the token budget ended the answer, not the model
  bool no_speech = false;  ///< the model or a guard decided that nothing is said here; text is ""
  int channel = -1;        ///< of the recording, 0 first; -1: the mix of all channels
  double speech_s = -1;    ///< seconds the voice activity detector took for speech; -1: it was off
  double temperature = 0;  ///< the one the answer was sampled with; 0: greedy
  std::vector<Token> tokens;       ///< empty unless asked for
  std::vector<Word> words;         ///< empty until word times are asked for
  std::vector<std::string> notes;  ///< what a reader should know, one sentence each ("repetition: ...")

  /// Mean of the tokens' logprob; 0 without tokens.
  double avg_logprob() const {
    double sum = 0;
    for (const Token& token : tokens) sum += token.logprob;
    return tokens.empty() ? 0.0 : sum / static_cast<double>(tokens.size());
  }
};

/// A stretch without text: where, and why nobody should miss it.
struct Gap {
  double start_s = 0;
  double end_s = 0;
  int channel = -1;
};

struct Transcript {
  std::string text;
  std::string language;  ///< languages of the segments, joined by commas, consecutive duplicates dropped
  double duration_s = 0;
  std::vector<Segment> segments;
  std::vector<Gap> non_speech;     ///< stretches the voice activity detector left out, in order
  std::vector<std::string> notes;  ///< about the whole recording ("reading stopped after 12.30 s: ...")
  bool truncated = false;          ///< true if any segment is, or if the recording was not read to its end
  Timings timings;
};

}  // namespace qasr
