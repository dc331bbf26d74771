// What a transcription returns.
#pragma once

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

/// One piece of the recording that was given to the model at once.
struct Segment {
  double start_s = 0;
  double end_s = 0;
  std::string text;
  std::string language;    ///< English name, "" if unknown or no speech
  std::string raw_text;    ///< the decoded answer before parsing, e.g. "language English<asr_text>Hello."
  bool truncated = false;  ///< the token budget ended the answer, not the model
};

struct Transcript {
  std::string text;
  std::string language;  ///< languages of the segments, joined by commas, consecutive duplicates dropped
  double duration_s = 0;
  std::vector<Segment> segments;
  bool truncated = false;  ///< true if any segment is
  Timings timings;
};

}  // namespace qasr
