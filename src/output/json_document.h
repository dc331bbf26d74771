// Transcripts as JSON; docs/transcript.schema.json describes the document.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "qasr/formats.h"

namespace qasr {

/// The whole document as text, segment by segment: as one tree or one string a transcript of hours would take several
/// times the memory of everything else.
void write_transcript_json(const Transcript& transcript, const RecordingInfo& info, bool one_line,
                           const TextSink& sink);
nlohmann::ordered_json segment_json(const Segment& segment, std::size_t index);

/// As text; ill-formed UTF-8 (in file names, in tokens) is replaced.
std::string dump(const nlohmann::ordered_json& json, bool one_line);

}  // namespace qasr
