#include "server/realtime/session_config.h"

#include <cmath>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>

#include "server/api_error.h"
#include "server/transcription_params.h"

namespace qasr::server {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double kDefaultThreshold = 0.5;
constexpr int kDefaultPaddingMs = 300, kDefaultSilenceMs = 500;
constexpr int kLeastSilenceMs = 100, kMostSilenceMs = 10000;

constexpr const char* kLogprobs = "item.input_audio_transcription.logprobs";
constexpr const char* kPartials = "qasr.partial";

[[noreturn]] void refuse(const std::string& message, const std::string& param, const std::string& code = {}) {
  throw ApiError(400, message, param, code);
}

const json& object(const json& value, const std::string& param) {
  if (!value.is_object()) refuse("found " + value.dump().substr(0, 64) + ", expected an object", param);
  return value;
}

std::string text(const json& value, const std::string& param) {
  if (!value.is_string()) refuse("found " + value.dump().substr(0, 64) + ", expected a string", param);
  return value.get<std::string>();
}

double number(const json& value, const std::string& param) {
  if (!value.is_number()) refuse("found " + value.dump().substr(0, 64) + ", expected a number", param);
  return value.get<double>();
}

std::vector<std::string> texts(const json& value, const std::string& param) {
  if (!value.is_array()) refuse("found " + value.dump().substr(0, 64) + ", expected an array of strings", param);
  std::vector<std::string> all;
  for (const json& entry : value) all.push_back(text(entry, param));
  return all;
}

void check_names(const json& value, const std::string& where, std::initializer_list<const char*> known) {
  for (const auto& [name, ignored] : value.items()) {
    bool found = false;
    for (const char* one : known) found = found || name == one;
    if (!found) refuse("unknown parameter", where + "." + name, "unknown_parameter");
  }
}

void set_rate(SessionConfig& config, const json& format, const std::string& where) {
  const double rate = format.contains("rate") ? number(format["rate"], where + ".rate") : 24000;
  if (rate != 24000 && rate != 16000) {
    refuse("found " + format["rate"].dump() + ", expected 24000 or 16000", where + ".rate");
  }
  config.sample_rate = static_cast<int>(rate);
}

void set_format(SessionConfig& config, const json& format, const std::string& where) {
  check_names(object(format, where), where, {"type", "rate"});
  const std::string type = format.contains("type") ? text(format["type"], where + ".type") : "";
  if (type == "audio/pcm") {
    config.codec = AudioCodec::kPcm16;
    return set_rate(config, format, where);
  }
  if (type != "audio/pcmu" && type != "audio/pcma") {
    refuse("found '" + type + "', expected audio/pcm, audio/pcmu or audio/pcma", where + ".type");
  }
  config.codec = type == "audio/pcmu" ? AudioCodec::kMuLaw : AudioCodec::kALaw;
  config.sample_rate = 8000;
  if (format.contains("rate") && number(format["rate"], where + ".rate") != 8000) {
    refuse("found " + format["rate"].dump() + ", expected 8000", where + ".rate");
  }
}

void set_transcription(SessionConfig& config, const json& value, const std::string& where) {
  check_names(object(value, where), where, {"model", "language", "languages", "keywords", "prompt", "delay"});
  if (value.contains("model")) config.model = text(value["model"], where + ".model");
  if (value.contains("language")) {
    config.language = value["language"].is_null() ? "auto" : text(value["language"], where + ".language");
    check_language(config.language, where + ".language");
  }
  if (value.contains("languages")) {
    const auto languages = texts(value["languages"], where + ".languages");
    if (languages.size() > 1) {
      refuse("found several languages, expected one: the model takes one, or detects it when none is given",
             where + ".languages", "unsupported_value");
    }
    config.language = languages.empty() ? "auto" : languages.front();
    check_language(config.language, where + ".languages");
  }
  if (value.contains("keywords")) config.keywords = texts(value["keywords"], where + ".keywords");
  if (value.contains("prompt")) {
    config.prompt = value["prompt"].is_null() ? "" : text(value["prompt"], where + ".prompt");
  }
  if (value.contains("delay")) {
    config.delay = value["delay"].is_null() ? "" : text(value["delay"], where + ".delay");
    for (const char* known : {"", "minimal", "low", "medium", "high", "xhigh"}) {
      if (config.delay == known) return;
    }
    refuse("found '" + config.delay + "', expected minimal, low, medium, high or xhigh", where + ".delay");
  }
}

void set_turn_detection(SessionConfig& config, const json& value, const std::string& where) {
  config.server_vad = !value.is_null();
  if (value.is_null()) return;
  check_names(object(value, where), where,
              {"type", "threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms", "create_response",
               "interrupt_response"});
  const std::string type = value.contains("type") ? text(value["type"], where + ".type") : "server_vad";
  if (type != "server_vad") {
    refuse("found '" + type + "', expected server_vad, or null for turns that the client commits", where + ".type",
           "unsupported_value");
  }
  if (value.contains("threshold") && number(value["threshold"], where + ".threshold") != kDefaultThreshold) {
    refuse("found " + value["threshold"].dump() + ", expected 0.5: this server's detector has no adjustable threshold",
           where + ".threshold", "unsupported_value");
  }
  if (value.contains("prefix_padding_ms") &&
      number(value["prefix_padding_ms"], where + ".prefix_padding_ms") != kDefaultPaddingMs) {
    refuse("found " + value["prefix_padding_ms"].dump() + ", expected 300: this server's padding cannot be changed",
           where + ".prefix_padding_ms", "unsupported_value");
  }
  for (const char* name : {"idle_timeout_ms", "create_response", "interrupt_response"}) {
    const bool off = !value.contains(name) || value[name].is_null() || value[name] == json(false);
    if (!off)
      refuse("not available in this server's transcription sessions", where + "." + name, "unsupported_parameter");
  }
  const double silence_ms = value.contains("silence_duration_ms")
                                ? number(value["silence_duration_ms"], where + ".silence_duration_ms")
                                : kDefaultSilenceMs;
  if (!(silence_ms >= kLeastSilenceMs && silence_ms <= kMostSilenceMs)) {
    refuse("found " + value["silence_duration_ms"].dump() + ", expected 100 to 10000", where + ".silence_duration_ms");
  }
  config.silence_ms = static_cast<int>(silence_ms);
}

void set_include(SessionConfig& config, const json& value) {
  config.logprobs = config.partials = false;
  if (value.is_null()) return;
  for (const std::string& name : texts(value, "session.include")) {
    if (name == kLogprobs) {
      config.logprobs = true;
    } else if (name == kPartials) {
      config.partials = true;
    } else {
      refuse("found '" + name + "', expected " + kLogprobs + " or " + kPartials, "session.include");
    }
  }
}

void refuse_noise_reduction(const json& value, const std::string& where) {
  if (!value.is_null()) refuse("this server has no noise reduction, expected null", where, "unsupported_value");
}

}  // namespace

void update_session(SessionConfig& config, const json& session) {
  check_names(object(session, "session"), "session", {"type", "audio", "include", "id", "object"});
  if (session.contains("type") && session["type"] != "transcription") {
    refuse("found " + session["type"].dump().substr(0, 64) +
               ", expected transcription: this server writes down speech "
               "and does not answer",
           "session.type", "unsupported_value");
  }
  if (session.contains("include")) set_include(config, session["include"]);
  if (!session.contains("audio")) return;
  check_names(object(session["audio"], "session.audio"), "session.audio", {"input"});
  if (!session["audio"].contains("input")) return;
  const std::string where = "session.audio.input";
  const json& input = object(session["audio"]["input"], where);
  check_names(input, where, {"format", "noise_reduction", "transcription", "turn_detection"});
  if (input.contains("format")) set_format(config, input["format"], where + ".format");
  if (input.contains("noise_reduction")) refuse_noise_reduction(input["noise_reduction"], where + ".noise_reduction");
  if (input.contains("transcription")) set_transcription(config, input["transcription"], where + ".transcription");
  if (input.contains("turn_detection")) set_turn_detection(config, input["turn_detection"], where + ".turn_detection");
}

void update_legacy_session(SessionConfig& config, const json& session) {
  check_names(
      object(session, "session"), "session",
      {"input_audio_format", "input_audio_transcription", "input_audio_noise_reduction", "turn_detection", "include"});
  if (session.contains("input_audio_format")) {
    const std::string name = text(session["input_audio_format"], "session.input_audio_format");
    const std::map<std::string, std::string> types = {
        {"pcm16", "audio/pcm"}, {"g711_ulaw", "audio/pcmu"}, {"g711_alaw", "audio/pcma"}};
    const auto type = types.find(name);
    if (type == types.end())
      refuse("found '" + name + "', expected pcm16, g711_ulaw or g711_alaw", "session.input_audio_format");
    set_format(config, {{"type", type->second}}, "session.input_audio_format");
  }
  if (session.contains("input_audio_transcription")) {
    set_transcription(config, session["input_audio_transcription"], "session.input_audio_transcription");
  }
  if (session.contains("input_audio_noise_reduction")) {
    refuse_noise_reduction(session["input_audio_noise_reduction"], "session.input_audio_noise_reduction");
  }
  if (session.contains("turn_detection"))
    set_turn_detection(config, session["turn_detection"], "session.turn_detection");
  if (session.contains("include")) set_include(config, session["include"]);
}

ordered_json session_json(const SessionConfig& config, const std::string& id) {
  ordered_json format = {{"type", "audio/pcm"}, {"rate", config.sample_rate}};
  if (config.codec != AudioCodec::kPcm16) {
    format = {{"type", config.codec == AudioCodec::kMuLaw ? "audio/pcmu" : "audio/pcma"}};
  }
  ordered_json transcription = {{"model", config.model}};
  if (config.language != "auto") transcription["language"] = config.language;
  if (!config.prompt.empty()) transcription["prompt"] = config.prompt;
  if (!config.keywords.empty()) transcription["keywords"] = config.keywords;
  if (!config.delay.empty()) transcription["delay"] = config.delay;
  ordered_json turns;
  if (config.server_vad) {
    turns = {{"type", "server_vad"},
             {"threshold", kDefaultThreshold},
             {"prefix_padding_ms", kDefaultPaddingMs},
             {"silence_duration_ms", config.silence_ms}};
  }
  ordered_json include = ordered_json::array();
  if (config.logprobs) include.push_back(kLogprobs);
  if (config.partials) include.push_back(kPartials);
  return {{"id", id},
          {"object", "realtime.transcription_session"},
          {"type", "transcription"},
          {"audio",
           {{"input",
             {{"format", format},
              {"noise_reduction", nullptr},
              {"transcription", transcription},
              {"turn_detection", turns}}}}},
          {"include", include}};
}

StreamOptions stream_options(const SessionConfig& config) {
  StreamOptions options;
  options.language = config.language;
  options.context = config.prompt;
  options.hotwords = config.keywords;
  if (config.delay == "minimal" || config.delay == "low") options.latency = StreamLatency::kLow;
  if (config.delay == "high" || config.delay == "xhigh") options.latency = StreamLatency::kAccurate;
  options.sample_rate = config.sample_rate;
  options.endpoint_ms = config.server_vad ? config.silence_ms : kDefaultSilenceMs;
  options.endpoint_ends_segment = config.server_vad;
  options.keep_tokens = config.logprobs;
  return options;
}

}  // namespace qasr::server
