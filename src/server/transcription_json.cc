#include "server/transcription_json.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "qasr/formats.h"
#include "qasr/languages.h"

namespace qasr::server {
namespace {

using nlohmann::ordered_json;

constexpr double kFramesPerS = 100;

double round_to(double value, double steps) { return std::round(value * steps) / steps; }
double seconds(double value) { return round_to(value, 1000); }

/// Bytes of UTF-8 per byte after zlib: high for text that repeats itself.
double compression_ratio(const std::string& text) {
  if (text.empty()) return 0;
  uLongf n_bytes = ::compressBound(text.size());
  std::vector<Bytef> out(n_bytes);
  ::compress(out.data(), &n_bytes, reinterpret_cast<const Bytef*>(text.data()), text.size());
  return static_cast<double>(text.size()) / static_cast<double>(n_bytes);
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return text;
}

ordered_json segment_json(const Segment& segment, std::size_t index) {
  ordered_json ids = ordered_json::array();
  for (const Token& token : segment.tokens) ids.push_back(token.id);
  return {{"id", index},
          {"seek", std::llround(segment.start_s * kFramesPerS)},
          {"start", seconds(segment.start_s)},
          {"end", seconds(segment.end_s)},
          {"text", segment.text},
          {"tokens", std::move(ids)},
          {"temperature", segment.temperature},
          {"avg_logprob", round_to(segment.avg_log_prob, 1e6)},
          {"compression_ratio", round_to(compression_ratio(segment.text), 1e4)},
          {"no_speech_prob", segment.has_note(NoteKind::kNoSpeech) ? 1.0 : 0.0}};
}

ordered_json words_json(const Transcript& transcript) {
  ordered_json words = ordered_json::array();
  for (const Segment& segment : transcript.segments) {
    for (const Word& word : segment.words) {
      words.push_back({{"word", bare_word(word)}, {"start", seconds(word.start_s)}, {"end", seconds(word.end_s)}});
    }
  }
  return words;
}

ordered_json segments_json(const Transcript& transcript) {
  ordered_json segments = ordered_json::array();
  for (std::size_t index = 0; index < transcript.segments.size(); ++index) {
    segments.push_back(segment_json(transcript.segments[index], index));
  }
  return segments;
}

ordered_json verbose_json(const Transcript& transcript, const TranscriptionParams& params) {
  ordered_json json = {{"task", "transcribe"},
                       {"language", lower_case(transcript.language)},
                       {"duration", seconds(transcript.duration_s)},
                       {"text", transcript.text}};
  if (params.segments) json["segments"] = segments_json(transcript);
  if (params.words) json["words"] = words_json(transcript);
  json["usage"] = duration_usage(transcript.duration_s);
  return json;
}

ordered_json plain_json(const Transcript& transcript, bool with_logprobs) {
  ordered_json json = {{"text", transcript.text}};
  const ordered_json languages = languages_json(transcript);
  if (!languages.empty()) json["languages"] = languages;
  if (with_logprobs) {
    ordered_json all = ordered_json::array();
    for (const Segment& segment : transcript.segments) {
      for (ordered_json& entry : logprobs_json(segment.tokens)) all.push_back(std::move(entry));
    }
    json["logprobs"] = std::move(all);
  }
  json["usage"] = token_usage(transcript.timings);
  return json;
}

}  // namespace

std::string json_text(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json token_usage(const Timings& timings) {
  return {{"type", "tokens"},
          {"input_tokens", timings.n_prompt_tokens},
          {"output_tokens", timings.n_generated_tokens},
          {"total_tokens", timings.n_prompt_tokens + timings.n_generated_tokens},
          {"input_token_details",
           {{"audio_tokens", timings.n_audio_tokens},
            {"text_tokens", std::max(0, timings.n_prompt_tokens - timings.n_audio_tokens)}}}};
}

ordered_json duration_usage(double audio_s) { return {{"type", "duration"}, {"seconds", seconds(audio_s)}}; }

ordered_json logprobs_json(std::span<const Token> tokens) {
  ordered_json json = ordered_json::array();
  for (const Token& token : tokens) {
    json.push_back({{"token", token.bytes},
                    {"bytes", std::vector<std::uint8_t>(token.bytes.begin(), token.bytes.end())},
                    {"logprob", round_to(token.log_prob, 1e6)}});
  }
  return json;
}

ordered_json languages_json(const Transcript& transcript) {
  ordered_json json = ordered_json::array();
  for (const Segment& segment : transcript.segments) {
    const auto language = find_language(segment.language);
    if (!language) continue;
    const ordered_json entry = {{"code", std::string(language->code)}};
    if (std::find(json.begin(), json.end(), entry) == json.end()) json.push_back(entry);
  }
  return json;
}

Response transcription_response(const Transcript& transcript, const TranscriptionParams& params) {
  switch (params.format) {
    case ResponseFormat::kJson:
      return {.body = json_text(plain_json(transcript, params.logprobs))};
    case ResponseFormat::kVerboseJson:
      return {.body = json_text(verbose_json(transcript, params))};
    case ResponseFormat::kText:
      return {.content_type = "text/plain; charset=utf-8", .body = transcript.text + "\n"};
    case ResponseFormat::kSrt:
      return {.content_type = "application/x-subrip; charset=utf-8",
              .body = format_transcript(transcript, OutputFormat::kSrt, {})};
    case ResponseFormat::kVtt:
      return {.content_type = "text/vtt; charset=utf-8", .body = format_transcript(transcript, OutputFormat::kVtt, {})};
  }
  return {.status = 500};
}

}  // namespace qasr::server
