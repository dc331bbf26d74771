#include "output/json_document.h"

#include <cmath>
#include <cstdint>

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

ordered_json words_json(const std::vector<Word>& words) {
  ordered_json json = ordered_json::array();
  for (const Word& word : words) {
    ordered_json entry = {{"word", word.text}, {"start", round_to_ms(word.start_s)}, {"end", round_to_ms(word.end_s)}};
    if (!word.surface.empty()) entry["surface"] = word.surface;
    entry["confidence"] = round_to_millionths(word.confidence);
    json.push_back(std::move(entry));
  }
  return json;
}

ordered_json non_speech_json(const std::vector<NonSpeech>& gaps) {
  ordered_json json = ordered_json::array();
  for (const NonSpeech& gap : gaps) {
    ordered_json entry = {{"start", round_to_ms(gap.start_s)}, {"end", round_to_ms(gap.end_s)}};
    if (gap.channel >= 0) entry["channel"] = gap.channel;
    json.push_back(std::move(entry));
  }
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

// Everything but the segments, whose array is empty.
ordered_json frame_json(const Transcript& transcript, const RecordingInfo& info) {
  ordered_json words = ordered_json::array();
  for (const Segment& segment : transcript.segments) {
    for (ordered_json& word : words_json(segment.words)) words.push_back(std::move(word));
  }
  ordered_json json = {{"file", info.file},
                       {"task", info.task},
                       {"text", transcript.text},
                       {"language", transcript.language},
                       {"duration", round_to_ms(transcript.duration_s)},
                       {"segments", ordered_json::array()}};
  if (!words.empty()) json["words"] = std::move(words);
  json["non_speech"] = non_speech_json(transcript.non_speech);
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
  if (!segment.words.empty()) json["words"] = words_json(segment.words);
  return json;
}

void write_transcript_json(const Transcript& transcript, const RecordingInfo& info, bool one_line,
                           const TextSink& sink) {
  const std::string frame = dump(frame_json(transcript, info), one_line);
  if (transcript.segments.empty()) return sink(frame);
  // Inside a string the quotes would be escaped.
  const std::string empty_segments = one_line ? "\"segments\":[]" : "\"segments\": []";
  const std::size_t at = frame.find(empty_segments) + empty_segments.size() - 1;
  sink(std::string_view(frame).substr(0, at));
  for (std::size_t index = 0; index < transcript.segments.size(); ++index) {
    std::string piece = index > 0 ? "," : "";
    const ordered_json segment = segment_json(transcript.segments[index], index);
    if (one_line) {
      piece += as_text(segment, kOneLine);
    } else {
      append_indented(as_text(segment, kIndent), piece);
    }
    sink(piece);
  }
  if (!one_line) sink("\n  ");
  sink(std::string_view(frame).substr(at));
}

std::string dump(const ordered_json& json, bool one_line) {
  return as_text(json, one_line ? kOneLine : kIndent) + "\n";
}

}  // namespace qasr
