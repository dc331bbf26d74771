#include "event_output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "live_display.h"
#include "output.h"
#include "qasr/formats.h"

namespace qasr::app {
namespace {

using Kind = StreamEvent::Kind;

const char* event_name(Kind kind) {
  switch (kind) {
    case Kind::kPartial:
      return "partial";
    case Kind::kCommitted:
      return "committed";
    case Kind::kSegmentEnd:
      return "segment";
    case Kind::kEndpoint:
      return "endpoint";
    case Kind::kFlushed:
      return "flushed";
    case Kind::kError:
      return "error";
    case Kind::kEnd:
      return "end";
  }
  return "";
}

const char* status_name(RequestStatus status) {
  return status == RequestStatus::kDone        ? "done"
         : status == RequestStatus::kFailed    ? "failed"
         : status == RequestStatus::kCancelled ? "cancelled"
                                               : "running";
}

LiveDisplay::Size terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row > 0 ? size.ws_row : 24};
}

// A line per segment. In a pipe, committed text only.
class TextOutput final : public EventOutput {
 public:
  void on_event(const StreamEvent& event) override {
    if (event.kind == Kind::kCommitted) {
      print(event.text);
      line_begun_ = true;
    }
    if ((event.kind == Kind::kSegmentEnd || event.kind == Kind::kEnd) && line_begun_) {
      print("\n");
      line_begun_ = false;
    }
  }

 private:
  bool line_begun_ = false;
};

class TerminalOutput final : public EventOutput {
 public:
  TerminalOutput() : display_(&terminal_size, [](std::string_view bytes) { print(bytes); }) {}
  void on_event(const StreamEvent& event) override {
    if (event.kind == Kind::kCommitted) display_.commit(event.text);
    if (event.kind == Kind::kPartial) display_.show_partial(event.text);
    if (event.kind == Kind::kSegmentEnd || event.kind == Kind::kEnd) display_.end_line();
  }

 private:
  LiveDisplay display_;
};

class JsonOutput final : public EventOutput {
 public:
  void on_event(const StreamEvent& event) override { print(event_json(event)); }
};

class SubtitleOutput final : public EventOutput {
 public:
  explicit SubtitleOutput(LiveFormat format) : format_(format) {
    if (format == LiveFormat::kVtt) print("WEBVTT\n\n");
  }
  void on_event(const StreamEvent& event) override {
    if (event.kind == Kind::kSegmentEnd) print(subtitle_text(*event.result, format_, number_));
  }

 private:
  LiveFormat format_;
  std::size_t number_ = 1;
};

std::string time_stamp(double seconds, char decimal_mark) {
  const auto ms = static_cast<long long>(std::llround(seconds * 1000));
  char text[32];
  std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60,
                decimal_mark, ms % 1000);
  return text;
}

nlohmann::ordered_json words_json(const std::vector<Word>& words) {
  const auto ms = [](double seconds) { return std::round(seconds * 1000) / 1000; };
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Word& word : words) {
    json.push_back({{"word", bare_word(word)},
                    {"surface", word.surface},
                    {"start_s", ms(word.start_s)},
                    {"end_s", ms(word.end_s)},
                    {"confidence", std::round(word.confidence * 1e4) / 1e4}});
  }
  return json;
}

}  // namespace

std::unique_ptr<EventOutput> make_event_output(LiveFormat format) {
  switch (format) {
    case LiveFormat::kJsonLines:
      return std::make_unique<JsonOutput>();
    case LiveFormat::kSrt:
    case LiveFormat::kVtt:
      return std::make_unique<SubtitleOutput>(format);
    case LiveFormat::kText:
      break;
  }
  if (::isatty(STDOUT_FILENO) != 0) return std::make_unique<TerminalOutput>();
  return std::make_unique<TextOutput>();
}

std::string event_json(const StreamEvent& event) {
  nlohmann::ordered_json line;
  const auto ms = [](double seconds) { return std::round(seconds * 1000) / 1000; };
  line["event"] = event_name(event.kind);
  const bool has_text = event.kind == Kind::kPartial || event.kind == Kind::kCommitted;
  if (has_text || event.kind == Kind::kSegmentEnd) line["segment"] = event.segment;
  if (event.kind != Kind::kError && event.kind != Kind::kEnd) {
    line["start_s"] = ms(event.start_s);
    line["end_s"] = ms(event.end_s);
  }
  if (has_text) {
    line["separator"] = event.separator;
    line["text"] = event.text;
  }
  if (event.kind == Kind::kSegmentEnd) {
    line["text"] = event.result->text;
    line["confidence"] = std::round(event.result->confidence * 1e4) / 1e4;
    line["truncated"] = event.result->truncated;
    nlohmann::ordered_json notes = nlohmann::ordered_json::array();
    for (const SegmentNote& note : event.result->notes) {
      notes.push_back({{"kind", note_name(note.kind)}, {"message", note.message}});
    }
    line["notes"] = notes;
    if (!event.result->words.empty()) line["words"] = words_json(event.result->words);
  }
  if (has_text || event.kind == Kind::kSegmentEnd) line["language"] = event.language;
  if (event.kind == Kind::kError) line["message"] = event.error->what();
  if (event.kind == Kind::kEnd) line["status"] = status_name(event.status);
  return line.dump() + "\n";
}

std::string subtitle_text(const Segment& segment, LiveFormat format, std::size_t& number) {
  Transcript transcript;
  transcript.segments.push_back(segment);
  transcript.duration_s = segment.end_s;
  const char mark = format == LiveFormat::kSrt ? ',' : '.';
  std::string text;
  for (const Cue& cue : make_cues(transcript)) {
    if (format == LiveFormat::kSrt) text += std::to_string(number++) + "\n";
    text += time_stamp(cue.start_s, mark) + " --> " + time_stamp(cue.end_s, mark) + "\n";
    for (const std::string& line : cue.lines) text += line + "\n";
    text += "\n";
  }
  return text;
}

}  // namespace qasr::app
