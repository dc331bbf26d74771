// Transcripts in the forms of the OpenAI API.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "qasr/transcript.h"
#include "server/http_types.h"
#include "server/transcription_params.h"

namespace qasr::server {

/// One line of JSON; bytes that are no UTF-8 are replaced.
std::string json_text(const nlohmann::ordered_json& json);

/// {"type": "tokens", ...}: prompt and audio in, text out.
nlohmann::ordered_json token_usage(const Timings& timings);
nlohmann::ordered_json duration_usage(double audio_s);
/// [{"token", "bytes", "logprob"}, ...]
nlohmann::ordered_json logprobs_json(std::span<const Token> tokens);
/// [{"code"}, ...] of the languages of a transcript, by segments.
nlohmann::ordered_json languages_json(const Transcript& transcript);

/// The response in the format that was asked for.
Response transcription_response(const Transcript& transcript, const TranscriptionParams& params);

}  // namespace qasr::server
