// The writers: transcript -> file of one format.
#include "qasr/formats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "output/json_document.h"
#include "output/text_grid.h"
#include "output/unicode_text.h"

namespace qasr {
namespace {

constexpr std::array<std::string_view, 9> kNames = {"txt", "srt", "vtt", "json",    "jsonl",
                                                    "tsv", "lrc", "csv", "textgrid"};

constexpr std::string_view kRightToLeftMark = "\u200f", kRightToLeftEmbedding = "\u202b", kPopDirection = "\u202c";
constexpr double kLyricsPauseS = 3;  // a longer one shows an empty line

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char text[96];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

long long to_ms(double seconds) { return std::llround(std::max(seconds, 0.0) * 1000); }

/// "01:02:03,456"
std::string clock(double seconds, char separator) {
  const long long ms = to_ms(seconds);
  return format("%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, separator, ms % 1000);
}

std::string one_line_of(std::string_view text) {
  std::string out;
  for (const TextPiece& piece : split_at_line_breaks(text)) out += piece.text;
  return out;
}

std::string channel_label(int channel) {
  if (channel < 0) return {};
  std::string label = "[channel ";
  label += std::to_string(channel + 1);
  label += "] ";
  return label;
}

std::string srt(const std::vector<Cue>& cues) {
  std::string out;
  for (std::size_t i = 0; i < cues.size(); ++i) {
    const Cue& cue = cues[i];
    out += std::to_string(i + 1) + "\n" + clock(cue.start_s, ',') + " --> " + clock(cue.end_s, ',') + "\n";
    for (std::size_t n = 0; n < cue.lines.size(); ++n) {
      const std::string line = (n == 0 ? channel_label(cue.channel) : "") + cue.lines[n];
      // Many players take every line for left to right.
      out += cue.right_to_left ? std::string(kRightToLeftEmbedding) + line + std::string(kPopDirection) : line;
      out += "\n";
    }
    out += "\n";
  }
  return out;
}

std::string escape_vtt(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string vtt(const std::vector<Cue>& cues) {
  std::string out = "WEBVTT\n";
  for (const Cue& cue : cues) {
    out += "\n" + clock(cue.start_s, '.') + " --> " + clock(cue.end_s, '.') + "\n";
    if (cue.channel >= 0) out += "<v Channel " + std::to_string(cue.channel + 1) + ">";
    for (const std::string& line : cue.lines) {
      // Players go by the first strong character of each line.
      if (cue.right_to_left && !is_right_to_left(line)) out += kRightToLeftMark;
      out += escape_vtt(line) + "\n";
    }
  }
  return out;
}

std::string tsv(const Transcript& transcript) {
  std::string out = "start\tend\ttext\n";
  for (const Segment& segment : transcript.segments) {
    if (segment.text.empty()) continue;
    out += format("%lld\t%lld\t", to_ms(segment.start_s), to_ms(segment.end_s)) + channel_label(segment.channel) +
           one_line_of(segment.text) + "\n";
  }
  return out;
}

std::string quote_csv(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
  return out;
}

std::string csv(const Transcript& transcript) {
  std::string out = "start,end,channel,language,confidence,text\r\n";
  for (const Segment& segment : transcript.segments) {
    if (segment.text.empty()) continue;
    const std::string channel = segment.channel < 0 ? "" : std::to_string(segment.channel + 1);
    out += format("%.3f,%.3f,", segment.start_s, segment.end_s) + channel + "," + quote_csv(segment.language) +
           format(",%.4f,", segment.confidence) + quote_csv(one_line_of(segment.text)) + "\r\n";
  }
  return out;
}

/// "[mm:ss.xx]"; minutes go on beyond 99.
std::string lyrics_time(double seconds) {
  const long long hundredths = std::llround(std::max(seconds, 0.0) * 100);
  return format("[%02lld:%02lld.%02lld]", hundredths / 6000, hundredths / 100 % 60, hundredths % 100);
}

std::string lrc(std::vector<Cue> cues, double duration_s) {
  const long long length_s = std::llround(duration_s);
  std::string out = format("[length:%02lld:%02lld]\n[re:qasr]\n", length_s / 60, length_s % 60);
  for (std::size_t i = 0; i < cues.size(); ++i) {
    out += lyrics_time(cues[i].start_s) + channel_label(cues[i].channel);
    for (std::size_t n = 0; n < cues[i].lines.size(); ++n) out += (n > 0 ? " " : "") + cues[i].lines[n];
    out += "\n";
    const double next_s = i + 1 < cues.size() ? cues[i + 1].start_s : INFINITY;
    if (next_s > cues[i].end_s + kLyricsPauseS) out += lyrics_time(cues[i].end_s) + "\n";
  }
  return out;
}

bool every_line_is_json(std::string_view content) {
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    if (end == std::string_view::npos || !nlohmann::json::accept(content.substr(0, end))) return false;
    content.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace

std::span<const std::string_view> output_format_names() noexcept { return kNames; }

std::optional<OutputFormat> find_output_format(std::string_view name) noexcept {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return {};
  return static_cast<OutputFormat>(found - kNames.begin());
}

std::string_view output_format_name(OutputFormat format) noexcept { return kNames[static_cast<std::size_t>(format)]; }

std::string plain_text(const Transcript& transcript) {
  const auto has_channel = [](const Segment& segment) { return segment.channel >= 0; };
  if (!std::any_of(transcript.segments.begin(), transcript.segments.end(), has_channel)) return transcript.text;
  std::string out;
  for (const Segment& segment : transcript.segments) {
    if (segment.text.empty()) continue;
    out += (out.empty() ? "" : "\n") + channel_label(segment.channel) + segment.text;
  }
  return out;
}

std::string json_line(const Segment& segment, std::size_t index, const RecordingInfo& info) {
  nlohmann::ordered_json json = {{"file", info.file}};
  json.update(segment_json(segment, index));
  return dump(json, true);
}

void write_transcript(const Transcript& transcript, OutputFormat output, const RecordingInfo& info,
                      const TextSink& sink, const SubtitleOptions& options, bool one_line) {
  switch (output) {
    case OutputFormat::kText: {
      const std::string text = plain_text(transcript);
      if (!text.empty()) sink(text + "\n");
      return;
    }
    case OutputFormat::kSrt:
      return sink(srt(make_cues(transcript, options)));
    case OutputFormat::kVtt:
      return sink(vtt(make_cues(transcript, options)));
    case OutputFormat::kJson:
      return write_transcript_json(transcript, info, one_line, sink);
    case OutputFormat::kJsonLines:
      for (std::size_t n = 0; n < transcript.segments.size(); ++n) sink(json_line(transcript.segments[n], n, info));
      return;
    case OutputFormat::kTsv:
      return sink(tsv(transcript));
    case OutputFormat::kLrc:
      return sink(lrc(make_cues(transcript, options), transcript.duration_s));
    case OutputFormat::kCsv:
      return sink(csv(transcript));
    case OutputFormat::kTextGrid:
      return sink(text_grid(transcript));
  }
}

std::string format_transcript(const Transcript& transcript, OutputFormat output, const RecordingInfo& info,
                              const SubtitleOptions& options, bool one_line) {
  std::string text;
  write_transcript(
      transcript, output, info, [&text](std::string_view piece) { text += piece; }, options, one_line);
  return text;
}

bool is_complete(std::string_view content, OutputFormat format) {
  if (!is_valid_utf8(content)) return false;
  switch (format) {
    case OutputFormat::kJson:
      return nlohmann::json::accept(content);
    case OutputFormat::kJsonLines:
      return every_line_is_json(content);
    case OutputFormat::kVtt:
      return content.starts_with("WEBVTT\n") && content.ends_with('\n');
    case OutputFormat::kTsv:
      return content.starts_with("start\tend\ttext\n") && content.ends_with('\n');
    case OutputFormat::kCsv:
      return content.starts_with("start,end,") && content.ends_with('\n');
    case OutputFormat::kTextGrid:
      return content.starts_with("File type = \"ooTextFile\"\n") && content.ends_with("\" \n");
    case OutputFormat::kLrc:
      return content.starts_with("[length:") && content.ends_with('\n');
    case OutputFormat::kSrt:
      return content.empty() || content.ends_with("\n\n");
    case OutputFormat::kText:
      return content.empty() || content.ends_with('\n');
  }
  return false;
}

}  // namespace qasr
