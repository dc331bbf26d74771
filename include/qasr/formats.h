// Transcripts as text files: plain text, subtitles, tables, JSON.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/export.h"
#include "qasr/transcript.h"

namespace qasr {

enum class OutputFormat {
  kText,       ///< txt: the text and a line feed; one line per segment if there are channels
  kSrt,        ///< srt: SubRip subtitles
  kVtt,        ///< vtt: WebVTT subtitles
  kJson,       ///< json: everything, docs/transcript.schema.json
  kJsonLines,  ///< jsonl: one segment a line, with the name of the recording
  kTsv,        ///< tsv: start and end in milliseconds, text
  kLrc,        ///< lrc: lyrics, a time before each line
  kCsv,        ///< csv (RFC 4180): start and end in seconds, channel, language, confidence, text
  kTextGrid,   ///< textgrid: tiers of segments and words for Praat
};

/// "txt" "srt" "vtt" "json" "jsonl" "tsv" "lrc" "csv" "textgrid": names on the command line and file extensions.
QASR_API std::span<const std::string_view> output_format_names() noexcept;
QASR_API std::optional<OutputFormat> find_output_format(std::string_view name) noexcept;
QASR_API std::string_view output_format_name(OutputFormat format) noexcept;

/// How text becomes subtitles. Widths count columns of a terminal: characters of East Asian scripts are two wide.
struct SubtitleOptions {
  int max_line_columns = 42;      ///< a line is longer only where one word is
  int max_lines = 2;              ///< per cue
  double max_columns_per_s = 20;  ///< reading speed: cues that are faster stay longer where there is room behind them
  double min_duration_s = 1;      ///< the same for cues that are shorter
  double max_duration_s = 7;
};

/// One subtitle: when it is shown, and its lines.
struct Cue {
  double start_s = 0;
  double end_s = 0;
  std::vector<std::string> lines;
  int channel = -1;  ///< as Segment::channel
  bool right_to_left = false;
};

/// Cuts the text of the segments at permitted line breaks (Unicode annex 14, with dictionaries for Thai and the like),
/// so never inside a character or a word; at the end of a sentence or clause where one is near. Times are those of the
/// words, or the segment's length divided by the length of the text. Cues of one channel do not overlap.
/// @throws Error kInvalidArgument  an option is out of range
QASR_API std::vector<Cue> make_cues(const Transcript& transcript, const SubtitleOptions& options = {});

/// What a document is about, beyond the transcript itself.
struct RecordingInfo {
  std::string file;   ///< name; ill-formed UTF-8 is replaced in JSON
  std::string model;  ///< directory or name of the checkpoint
  std::string task = "transcribe";  ///< or "align": in JSON
};

/// Takes a text piece by piece.
using TextSink = std::function<void(std::string_view)>;

/// The whole file in pieces, JSON of long recordings in many: it is never in memory as a whole.
/// @throws Error kInvalidArgument  a subtitle option is out of range (before the first piece); what the sink throws
QASR_API void write_transcript(const Transcript& transcript, OutputFormat format, const RecordingInfo& info,
                               const TextSink& sink, const SubtitleOptions& options = {}, bool one_line = false);

/// @param one_line  JSON without line breaks inside
/// @return the whole file, UTF-8, ending in a line feed (an empty transcript gives an empty txt or srt file)
/// @throws Error kInvalidArgument  a subtitle option is out of range
QASR_API std::string format_transcript(const Transcript& transcript, OutputFormat format, const RecordingInfo& info,
                                       const SubtitleOptions& options = {}, bool one_line = false);

/// The line of one segment in the jsonl format, for output as segments come.
QASR_API std::string json_line(const Segment& segment, std::size_t index, const RecordingInfo& info);

/// Is `content` a complete file of this format? For formats without structure: anything that ends in a line feed, or
/// nothing.
QASR_API bool is_complete(std::string_view content, OutputFormat format);

/// The segment's text for a terminal: words whose least certain token has a probability below 0.5 in red, below 0.8 in
/// yellow. Without tokens, the text as it is.
QASR_API std::string color_by_confidence(const Segment& segment);

/// Joins what is said in order of time; a space between segments where the scripts want one, and lines "[channel N]
/// ..." if there are channels.
QASR_API std::string plain_text(const Transcript& transcript);

/// What stands between the text so far and the next segment's: a space unless either side is empty, has one already, or
/// is written without spaces (Chinese, Japanese, Thai, ...). The official package puts nothing.
QASR_API std::string segment_separator(std::string_view text, std::string_view next);

}  // namespace qasr
