#include "output/json_document.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/utf8.h"

namespace qasr {
namespace {

using nlohmann::ordered_json;

constexpr int kOneLine = -1, kIndent = 2;  // of nlohmann::json::dump

double round_to_ms(double seconds) { return std::round(seconds * 1000.0) / 1000.0; }
double round_to_millionths(double value) { return std::round(value * 1e6) / 1e6; }

ordered_json timings_json(const Timings& timings) {
  return {{"preprocessing_ms", timings.preprocessing_ms},
          {"audio_encoding_ms", timings.audio_encoding_ms},
          {"text_generation_ms", timings.text_generation_ms},
          {"prefill_ms", timings.prefill_ms},
          {"alignment_ms", timings.alignment_ms},
          {"frames", timings.n_frames},
          {"audio_tokens", timings.n_audio_tokens},
          {"prompt_tokens", timings.n_prompt_tokens},
          {"generated_tokens", timings.n_generated_tokens}};
}

void add_tokens(const std::vector<Token>& tokens, ordered_json& json) {
  ordered_json ids = ordered_json::array(), logprobs = ordered_json::array();
  for (const Token& token : tokens) {
    ids.push_back(token.id);
    ordered_json entry = {{"token", token.bytes}, {"logprob", round_to_millionths(token.log_prob)}};
    // Half a character cannot be written as text.
    if (!is_valid_utf8(token.bytes)) entry["bytes"] = std::vector<std::uint8_t>(token.bytes.begin(), token.bytes.end());
    logprobs.push_back(std::move(entry));
  }
  json["tokens"] = std::move(ids);
  json["logprobs"] = std::move(logprobs);
}

ordered_json word_json(const Word& word) {
  ordered_json json = {{"word", word.text}, {"start", round_to_ms(word.start_s)}, {"end", round_to_ms(word.end_s)}};
  if (!word.surface.empty()) json["surface"] = word.surface;
  json["confidence"] = round_to_millionths(word.confidence);
  return json;
}

ordered_json gap_json(const NonSpeech& gap) {
  ordered_json json = {{"start", round_to_ms(gap.start_s)}, {"end", round_to_ms(gap.end_s)}};
  if (gap.channel >= 0) json["channel"] = gap.channel;
  return json;
}

// Speech, as far as the voice activity detector tells, in segments that have no text.
double speech_without_text_s(const Transcript& transcript) {
  double sum_s = 0;
  for (const Segment& segment : transcript.segments) {
    if (segment.text.empty() && segment.speech_s > 0) sum_s += segment.speech_s;
  }
  return sum_s;
}

std::string as_text(const ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

bool has_words(const Transcript& transcript) {
  return std::any_of(transcript.segments.begin(), transcript.segments.end(),
                     [](const Segment& segment) { return !segment.words.empty(); });
}

// Everything but what grows with the recording besides its text: those arrays are empty.
ordered_json frame_json(const Transcript& transcript, const RecordingInfo& info) {
  ordered_json json = {{"file", info.file},
                       {"task", info.task},
                       {"text", transcript.text},
                       {"language", transcript.language},
                       {"duration", round_to_ms(transcript.duration_s)},
                       {"segments", ordered_json::array()}};
  if (has_words(transcript)) json["words"] = ordered_json::array();
  json["non_speech"] = ordered_json::array();
  json["speech_without_text"] = round_to_ms(speech_without_text_s(transcript));
  json["truncated"] = transcript.truncated;
  json["warnings"] = transcript.warnings;
  json["timings"] = timings_json(transcript.timings);
  json["model"] = info.model;
  return json;
}

// An element of an array two levels deep. Strings hold no line feeds of their own: JSON escapes them.
void append_indented(const std::string& element, std::string& out) {
  constexpr const char* kLineStart = "\n    ";
  out += kLineStart;
  for (const char c : element) {
    if (c == '\n') {
      out += kLineStart;
    } else {
      out += c;
    }
  }
}

// Writes a document whose arrays are empty, and elements where they belong.
class FrameWriter {
 public:
  FrameWriter(std::string frame, bool one_line, const TextSink& sink)
      : frame_(std::move(frame)), one_line_(one_line), sink_(sink) {}

  /// The document up to the inside of this member of the top level. Members come in their order.
  void begin_array(std::string_view key) {
    end_array();
    // Inside a string the quotes would be escaped.
    const std::string empty = '"' + std::string(key) + (one_line_ ? "\":[]" : "\": []");
    const std::size_t inside = frame_.find(empty, written_) + empty.size() - 1;
    sink_(std::string_view(frame_).substr(written_, inside - written_));
    written_ = inside;
  }
  void add(const ordered_json& element) {
    std::string piece = n_elements_++ > 0 ? "," : "";
    if (one_line_) {
      piece += as_text(element, kOneLine);
    } else {
      append_indented(as_text(element, kIndent), piece);
    }
    sink_(piece);
  }
  /// The rest.
  void finish() {
    end_array();
    sink_(std::string_view(frame_).substr(written_));
  }

 private:
  void end_array() {
    if (n_elements_ > 0 && !one_line_) sink_("\n  ");
    n_elements_ = 0;
  }

  std::string frame_;
  bool one_line_;
  const TextSink& sink_;
  std::size_t written_ = 0;     // bytes of frame_
  std::size_t n_elements_ = 0;  // of the open array
};

}  // namespace

ordered_json segment_json(const Segment& segment, std::size_t index) {
  ordered_json json = {{"id", index},
                       {"start", round_to_ms(segment.start_s)},
                       {"end", round_to_ms(segment.end_s)},
                       {"text", segment.text},
                       {"language", segment.language}};
  if (segment.channel >= 0) json["channel"] = segment.channel;
  json["truncated"] = segment.truncated;
  json["no_speech"] = segment.has_note(NoteKind::kNoSpeech);
  if (segment.speech_s >= 0) json["speech"] = round_to_ms(segment.speech_s);
  json["temperature"] = segment.temperature;
  json["avg_logprob"] = round_to_millionths(segment.avg_log_prob);
  json["confidence"] = round_to_millionths(segment.confidence);
  ordered_json notes = ordered_json::array();
  for (const SegmentNote& note : segment.notes) {
    notes.push_back({{"kind", note_name(note.kind)}, {"message", note.message}});
  }
  json["notes"] = std::move(notes);
  add_tokens(segment.tokens, json);
  if (!segment.words.empty()) {
    ordered_json words = ordered_json::array();
    for (const Word& word : segment.words) words.push_back(word_json(word));
    json["words"] = std::move(words);
  }
  return json;
}

void write_transcript_json(const Transcript& transcript, const RecordingInfo& info, bool one_line,
                           const TextSink& sink) {
  FrameWriter frame(dump(frame_json(transcript, info), one_line), one_line, sink);
  frame.begin_array("segments");
  for (std::size_t index = 0; index < transcript.segments.size(); ++index) {
    frame.add(segment_json(transcript.segments[index], index));
  }
  if (has_words(transcript)) {
    frame.begin_array("words");
    for (const Segment& segment : transcript.segments) {
      for (const Word& word : segment.words) frame.add(word_json(word));
    }
  }
  frame.begin_array("non_speech");
  for (const NonSpeech& gap : transcript.non_speech) frame.add(gap_json(gap));
  frame.finish();
}

std::string dump(const ordered_json& json, bool one_line) {
  return as_text(json, one_line ? kOneLine : kIndent) + "\n";
}

}  // namespace qasr
