// TranscriptionParams: the fields of POST /v1/audio/transcriptions with their meaning. Every documented field is
// honoured or refused with 400 and the reason; none is ignored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/form.h"

namespace qasr::server {

enum class ResponseFormat { kJson, kText, kSrt, kVerboseJson, kVtt };

struct TranscriptionParams {
  std::string model;
  std::string language = "auto";
  std::string prompt;
  std::vector<std::string> keywords;
  ResponseFormat format = ResponseFormat::kJson;
  double temperature = 0;
  bool logprobs = false;
  bool stream = false;
  bool words = false;     ///< of timestamp_granularities: words with times
  bool segments = true;   ///< ... and segments; both only in verbose_json
  std::optional<double> max_pause_s;  ///< of chunking_strategy: a segment ends after such a silence
};

/// @throws ApiError 400 with the field as `param`
TranscriptionParams parse_transcription_params(const std::vector<FormField>& fields);

/// Refuses what is no language, in the words of the API.
/// @throws ApiError 400
void check_language(const std::string& language, const std::string& param);

/// "name[key]" -> "name", "key"; "name[]" and "name[0]" -> "name", ""; "name" -> "name", "".
struct FieldName {
  std::string base, key;
};
FieldName parse_field_name(const std::string& name);

}  // namespace qasr::server
