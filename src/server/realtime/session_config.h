// SessionConfig: what a Realtime client may set (session.update), with its meaning for a live stream. Every field is
// honoured or refused.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "qasr/stream.h"
#include "server/realtime/audio_codec.h"

namespace qasr::server {

struct SessionConfig {
  std::string model;
  std::string language = "auto";
  std::string prompt;
  std::vector<std::string> keywords;
  std::string delay;  ///< "", minimal, low, medium, high, xhigh
  AudioCodec codec = AudioCodec::kPcm16;
  int sample_rate = 24000;
  bool server_vad = true;  ///< false: the client commits
  int silence_ms = 500;
  bool logprobs = false;
  bool partials = false;  ///< ours: guesses that may change, in events qasr.partial

  bool operator==(const SessionConfig&) const = default;
};

/// Applies the object `session` of a session.update: what it does not name stays as it is.
/// @throws ApiError 400 with the path of the field as `param`
void update_session(SessionConfig& config, const nlohmann::json& session);

/// The same of the retired transcription_session.update.
void update_legacy_session(SessionConfig& config, const nlohmann::json& session);

/// The object `session` that describes it.
nlohmann::ordered_json session_json(const SessionConfig& config, const std::string& id);

/// For a stream of such a session; model and on_event are not in it.
StreamOptions stream_options(const SessionConfig& config);

}  // namespace qasr::server
