// make_cues: pieces between permitted line breaks get times, are gathered into cues and wrapped into lines.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "output/unicode_text.h"
#include "qasr/error.h"
#include "qasr/formats.h"

namespace qasr {
namespace {

struct TimedPiece {
  TextPiece piece;
  double start_s = 0, end_s = 0;
};

using Pieces = std::span<const TimedPiece>;

[[noreturn]] void bad_option(const std::string& name, double value, const std::string& expected) {
  throw Error(ErrorCode::kInvalidArgument,
              "subtitles: " + name + " is " + std::to_string(value) + ", expected " + expected);
}

void check(const SubtitleOptions& options) {
  if (options.max_line_columns < 8) bad_option("max_line_columns", options.max_line_columns, "at least 8");
  if (options.max_lines < 1) bad_option("max_lines", options.max_lines, "at least 1");
  if (!(options.max_columns_per_s > 0)) bad_option("max_columns_per_s", options.max_columns_per_s, "more than 0");
  if (!(options.min_duration_s >= 0)) bad_option("min_duration_s", options.min_duration_s, "0 or more");
  if (!(options.max_duration_s >= std::max(options.min_duration_s, 0.1))) {
    bad_option("max_duration_s", options.max_duration_s, "at least 0.1 and min_duration_s");
  }
}

int columns_with_space(const TextPiece& piece) { return piece.columns + piece.space_columns; }

// Position in the text, in columns -> time: by the words where they have times, else evenly over the segment.
class Timeline {
 public:
  explicit Timeline(const Segment& segment, int n_columns) {
    add(0, segment.start_s);
    if (!segment.words.empty()) add_words(segment);
    add(n_columns, std::max(segment.end_s, segment.start_s));
  }
  double at(int column) const {
    const auto after = std::lower_bound(points_.begin(), points_.end(), column,
                                        [](const Point& point, int wanted) { return point.column < wanted; });
    if (after == points_.begin()) return after->time_s;
    if (after == points_.end()) return points_.back().time_s;
    const Point &a = *(after - 1), &b = *after;
    return a.time_s + (b.time_s - a.time_s) * (column - a.column) / std::max(1, b.column - a.column);
  }

 private:
  struct Point {
    int column;
    double time_s;
  };
  void add(int column, double time_s) {
    if (!points_.empty() && column <= points_.back().column) column = points_.back().column + 1;
    if (!points_.empty()) time_s = std::max(time_s, points_.back().time_s);
    points_.push_back({column, time_s});
  }
  void add_words(const Segment& segment) {
    std::size_t at = 0;
    for (const Word& word : segment.words) {
      const std::string_view text = trim_spaces(word.surface.empty() ? word.text : word.surface);
      const std::size_t found = segment.text.find(text, at);
      if (text.empty() || found == std::string::npos) continue;
      const int begin = text_columns(std::string_view(segment.text).substr(0, found));
      at = found + text.size();
      add(begin, word.start_s);
      add(begin + text_columns(text), word.end_s);
    }
  }
  std::vector<Point> points_;
};

std::vector<TimedPiece> timed_pieces(const Segment& segment) {
  std::vector<TimedPiece> timed;
  int n_columns = 0;
  for (TextPiece& piece : split_at_line_breaks(segment.text)) {
    n_columns += columns_with_space(piece);
    timed.push_back({std::move(piece)});
  }
  const Timeline timeline(segment, n_columns);
  int column = 0;
  for (TimedPiece& one : timed) {
    one.start_s = timeline.at(column);
    one.end_s = timeline.at(column + one.piece.columns);
    column += columns_with_space(one.piece);
  }
  return timed;
}

// Where lines end if each takes what fits into `columns`: indices behind the last piece of each.
std::vector<std::size_t> fill_lines(Pieces pieces, int columns) {
  std::vector<std::size_t> ends;
  int used = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (used > 0 && used + pieces[i].piece.columns > columns) {
      ends.push_back(i);
      used = 0;
    }
    used += columns_with_space(pieces[i].piece);
  }
  ends.push_back(pieces.size());
  return ends;
}

bool fits(Pieces pieces, const SubtitleOptions& options) {
  return pieces.size() == 1 ||
         (static_cast<int>(fill_lines(pieces, options.max_line_columns).size()) <= options.max_lines &&
          pieces.back().end_s - pieces.front().start_s <= options.max_duration_s);
}

// How many of the pieces become the next cue: up to the last end of a sentence in the second half of what fits, else
// the last clause in the last third, else about an equal share of what must be divided.
std::size_t next_cue_length(Pieces pieces, const SubtitleOptions& options) {
  std::size_t n_fit = 1;
  while (n_fit < pieces.size() && fits(pieces.first(n_fit + 1), options)) ++n_fit;
  if (n_fit == pieces.size()) return n_fit;
  std::vector<int> columns(1, 0);
  for (const TimedPiece& one : pieces) columns.push_back(columns.back() + columns_with_space(one.piece));
  const int full = columns[n_fit];
  std::size_t clause = 0;
  for (std::size_t n = n_fit; n > 0; --n) {
    const BreakQuality quality = pieces[n - 1].piece.quality;
    if (quality == BreakQuality::kSentence && 2 * columns[n] >= full) return n;
    if (quality == BreakQuality::kClause && 3 * columns[n] >= 2 * full && clause == 0) clause = n;
  }
  if (clause > 0) return clause;
  const int n_cues = (columns.back() + full - 1) / std::max(full, 1);
  const int share = columns.back() / std::max(n_cues, 1);
  const auto even = std::lower_bound(columns.begin() + 1, columns.begin() + static_cast<std::ptrdiff_t>(n_fit), share);
  return static_cast<std::size_t>(even - columns.begin());
}

std::string join(Pieces pieces) {
  std::string text;
  for (const TimedPiece& one : pieces) text += one.piece.text;
  return std::string(trim_spaces(text));
}

// As few lines as hold the text, about equally long.
std::vector<std::string> wrap(Pieces pieces, const SubtitleOptions& options) {
  const std::size_t n_lines = fill_lines(pieces, options.max_line_columns).size();
  int columns = options.max_line_columns;
  while (columns > 1 && fill_lines(pieces, columns - 1).size() == n_lines) --columns;
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end : fill_lines(pieces, columns)) {
    lines.push_back(join(pieces.subspan(begin, end - begin)));
    begin = end;
  }
  return lines;
}

int cue_columns(const Cue& cue) {
  int columns = 0;
  for (const std::string& line : cue.lines) columns += text_columns(line);
  return columns;
}

// Short and fast cues stay longer, as far as the next one of their channel lets them.
void extend(std::vector<Cue>& cues, const SubtitleOptions& options) {
  std::map<int, double> next_start;  // by channel
  for (auto cue = cues.rbegin(); cue != cues.rend(); ++cue) {
    const double wanted_s =
        std::clamp(cue_columns(*cue) / options.max_columns_per_s, options.min_duration_s, options.max_duration_s);
    const auto next = next_start.find(cue->channel);
    const double limit_s = next == next_start.end() ? INFINITY : next->second;
    cue->end_s = std::min(std::max(cue->end_s, cue->start_s + wanted_s), std::max(limit_s, cue->start_s));
    next_start[cue->channel] = cue->start_s;
  }
}

}  // namespace

std::vector<Cue> make_cues(const Transcript& transcript, const SubtitleOptions& options) {
  check(options);
  std::vector<Cue> cues;
  for (const Segment& segment : transcript.segments) {
    const bool right_to_left = is_right_to_left(segment.text);
    const std::vector<TimedPiece> timed = timed_pieces(segment);
    for (Pieces rest = timed; !rest.empty();) {
      const Pieces pieces = rest.first(next_cue_length(rest, options));
      rest = rest.subspan(pieces.size());
      const double end_s = std::min(pieces.back().end_s, pieces.front().start_s + options.max_duration_s);
      cues.push_back({.start_s = pieces.front().start_s,
                      .end_s = end_s,
                      .lines = wrap(pieces, options),
                      .channel = segment.channel,
                      .right_to_left = right_to_left});
    }
  }
  std::stable_sort(cues.begin(), cues.end(), [](const Cue& a, const Cue& b) { return a.start_s < b.start_s; });
  extend(cues, options);
  return cues;
}

}  // namespace qasr
