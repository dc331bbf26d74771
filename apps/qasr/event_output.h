// What `qasr stream` makes of events: text on a terminal, text in a pipe, JSON lines, subtitles that grow.
#pragma once

#include <memory>
#include <string>

#include "qasr/stream.h"

namespace qasr::app {

class EventOutput {
 public:
  virtual ~EventOutput() = default;
  /// In order, from one thread.
  /// @throws OutputError
  virtual void on_event(const StreamEvent& event) = 0;
};

enum class LiveFormat { kText, kJsonLines, kSrt, kVtt };

/// Writes to standard output; text on a terminal shows what is not committed yet, dimmed.
std::unique_ptr<EventOutput> make_event_output(LiveFormat format);

/// One event as a line of JSON: {"event": "committed", ...}. docs/streaming.md lists the members.
std::string event_json(const StreamEvent& event);

/// The cues of a segment, numbered from `number` on, which is moved behind them.
std::string subtitle_text(const Segment& segment, LiveFormat format, std::size_t& number);

}  // namespace qasr::app
