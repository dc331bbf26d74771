// An alignment as a transcript: what subtitles, tables and JSON are made of.
#include <string>

#include "base/utf8.h"
#include "qasr/align.h"

namespace qasr {

Transcript to_transcript(const Alignment& alignment, std::string_view text) {
  Transcript transcript;
  transcript.text = std::string(strip_space(text));
  transcript.language = alignment.language;
  transcript.duration_s = alignment.duration_s;
  transcript.warnings = alignment.warnings;
  transcript.timings = alignment.timings;
  if (alignment.words.empty()) return transcript;
  Segment& segment = transcript.segments.emplace_back();
  segment.start_s = alignment.words.front().start_s;
  segment.end_s = alignment.words.back().end_s;
  segment.text = transcript.text;
  segment.language = alignment.language;
  segment.confidence = alignment.confidence;
  segment.words = alignment.words;
  segment.timings = alignment.timings;
  return transcript;
}

}  // namespace qasr
