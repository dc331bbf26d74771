#include "server/transcription_params.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "qasr/languages.h"
#include "server/api_error.h"

namespace qasr::server {
namespace {

constexpr double kDefaultThreshold = 0.5, kDefaultPaddingMs = 300;
constexpr double kLeastSilenceMs = 300, kMostSilenceMs = 10000;

[[noreturn]] void refuse(const std::string& message, const std::string& param, const std::string& code = {}) {
  throw ApiError(400, message, param, code);
}

double number(const std::string& text, const std::string& param) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    refuse("found '" + text + "', expected a number", param);
  }
  return value;
}

bool boolean(const std::string& text, const std::string& param) {
  if (text == "true" || text == "True" || text == "1") return true;
  if (text == "false" || text == "False" || text == "0") return false;
  refuse("found '" + text + "', expected true or false", param);
}

/// What was sent, before fields are seen together.
struct Fields {
  TranscriptionParams params;
  std::vector<std::string> languages, granularities;
  std::map<std::string, std::string> chunking;  // key -> value of a server_vad object
  std::optional<std::string> chunking_text;     // "auto", or an object as JSON
  bool has_model = false, has_language = false;
};

ResponseFormat response_format(const std::string& name) {
  if (name == "json") return ResponseFormat::kJson;
  if (name == "text") return ResponseFormat::kText;
  if (name == "srt") return ResponseFormat::kSrt;
  if (name == "vtt") return ResponseFormat::kVtt;
  if (name == "verbose_json") return ResponseFormat::kVerboseJson;
  if (name == "diarized_json") {
    refuse("diarized_json needs speaker diarisation, which this server does not have", "response_format",
           "unsupported_value");
  }
  refuse("found '" + name + "', expected json, text, srt, verbose_json or vtt", "response_format");
}

void set_temperature(Fields& fields, const std::string& value) {
  fields.params.temperature = number(value, "temperature");
  if (fields.params.temperature < 0 || fields.params.temperature > 1) {
    refuse("found " + value + ", expected a number from 0 to 1", "temperature");
  }
}

void set_include(Fields& fields, const std::string& value) {
  if (value != "logprobs") refuse("found '" + value + "', expected logprobs", "include");
  fields.params.logprobs = true;
}

void refuse_speakers(const std::string& name) {
  refuse("known speakers need speaker diarisation, which this server does not have", name, "unsupported_parameter");
}

using Setter = std::function<void(Fields&, const std::string&)>;

const std::map<std::string, Setter, std::less<>>& setters() {
  static const std::map<std::string, Setter, std::less<>> table = {
      {"model", [](Fields& f, const std::string& v) { f.params.model = v, f.has_model = true; }},
      {"language", [](Fields& f, const std::string& v) { f.params.language = v, f.has_language = !v.empty(); }},
      {"languages", [](Fields& f, const std::string& v) { f.languages.push_back(v); }},
      {"keywords", [](Fields& f, const std::string& v) { f.params.keywords.push_back(v); }},
      {"prompt", [](Fields& f, const std::string& v) { f.params.prompt = v; }},
      {"response_format", [](Fields& f, const std::string& v) { f.params.format = response_format(v); }},
      {"temperature", set_temperature},
      {"timestamp_granularities", [](Fields& f, const std::string& v) { f.granularities.push_back(v); }},
      {"include", set_include},
      {"stream", [](Fields& f, const std::string& v) { f.params.stream = boolean(v, "stream"); }},
      {"known_speaker_names", [](Fields&, const std::string&) { refuse_speakers("known_speaker_names"); }},
      {"known_speaker_references", [](Fields&, const std::string&) { refuse_speakers("known_speaker_references"); }},
      {"chunking_strategy", [](Fields& f, const std::string& v) { f.chunking_text = v; }}};
  return table;
}

void read_chunking_json(const std::string& text, std::map<std::string, std::string>& out) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    refuse("found '" + text + "', expected auto or an object of type server_vad", "chunking_strategy");
  for (const auto& [key, value] : json.items()) out[key] = value.is_string() ? value.get<std::string>() : value.dump();
}

void resolve_chunking(Fields& fields) {
  const std::string param = "chunking_strategy";
  if (fields.chunking_text && *fields.chunking_text != "auto") {
    read_chunking_json(*fields.chunking_text, fields.chunking);
  }
  if (fields.chunking.empty()) return;
  if (fields.chunking["type"] != "server_vad") {
    refuse("found '" + fields.chunking["type"] + "', expected server_vad", param + "[type]");
  }
  for (const auto& [key, value] : fields.chunking) {
    const std::string where = param + "[" + key + "]";
    if (key == "type") continue;
    if (key == "silence_duration_ms") {
      const double silence_ms = number(value, where);
      if (silence_ms < kLeastSilenceMs || silence_ms > kMostSilenceMs) {
        refuse("found " + value + ", expected 300 to 10000", where);
      }
      fields.params.max_pause_s = silence_ms / 1000;
    } else if (key == "threshold") {
      if (number(value, where) != kDefaultThreshold) {
        refuse("found " + value + ", expected 0.5: this server's detector has no adjustable threshold", where);
      }
    } else if (key == "prefix_padding_ms") {
      if (number(value, where) != kDefaultPaddingMs) {
        refuse("found " + value + ", expected 300: this server's padding cannot be changed", where);
      }
    } else {
      refuse("unknown parameter", where, "unknown_parameter");
    }
  }
}

void resolve_languages(Fields& fields) {
  if (!fields.languages.empty()) {
    if (fields.has_language) refuse("language and languages exclude each other", "languages");
    if (fields.languages.size() > 1) {
      refuse("found " + std::to_string(fields.languages.size()) +
                 " languages, expected one: the model takes one language, or detects it when none is given",
             "languages", "unsupported_value");
    }
    fields.params.language = fields.languages.front();
  }
  if (fields.params.language.empty()) fields.params.language = "auto";
  check_language(fields.params.language, fields.languages.empty() ? "language" : "languages");
}

void resolve_granularities(Fields& fields) {
  if (fields.granularities.empty()) return;
  const std::string param = "timestamp_granularities";
  if (fields.params.format != ResponseFormat::kVerboseJson) refuse("needs response_format verbose_json", param);
  fields.params.segments = false;
  for (const std::string& granularity : fields.granularities) {
    if (granularity == "word") {
      fields.params.words = true;
    } else if (granularity == "segment") {
      fields.params.segments = true;
    } else {
      refuse("found '" + granularity + "', expected segment or word", param);
    }
  }
}

}  // namespace

FieldName parse_field_name(const std::string& name) {
  const std::size_t open = name.find('[');
  if (open == std::string::npos || !name.ends_with(']')) return {name, ""};
  const std::string key = name.substr(open + 1, name.size() - open - 2);
  const bool is_index = std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
  return {name.substr(0, open), is_index ? "" : key};
}

void check_language(const std::string& language, const std::string& param) {
  if (equal_ignoring_case(language, "auto") || find_language(language)) return;
  std::string message = "unknown language '" + language + "', expected one of";
  for (const Language& known : languages()) message += " " + std::string(known.code);
  refuse(message + ", or an English name", param, "unsupported_language");
}

TranscriptionParams parse_transcription_params(const std::vector<FormField>& form_fields) {
  Fields fields;
  for (const FormField& field : form_fields) {
    const FieldName name = parse_field_name(field.name);
    const auto setter = setters().find(name.base);
    if (setter == setters().end() || (!name.key.empty() && name.base != "chunking_strategy")) {
      refuse("unknown parameter '" + field.name + "'", field.name, "unknown_parameter");
    }
    if (name.key.empty()) {
      setter->second(fields, field.value);
    } else {
      fields.chunking[name.key] = field.value;
    }
  }
  if (!fields.has_model || fields.params.model.empty()) refuse("you must provide a model parameter", "model");
  resolve_languages(fields);
  resolve_granularities(fields);
  resolve_chunking(fields);
  const ResponseFormat format = fields.params.format;
  if (fields.params.logprobs && format != ResponseFormat::kJson) {
    refuse("logprobs need response_format json", "include");
  }
  if (fields.params.stream && format != ResponseFormat::kJson && format != ResponseFormat::kText) {
    refuse("needs response_format json or text", "stream");
  }
  return fields.params;
}

}  // namespace qasr::server
