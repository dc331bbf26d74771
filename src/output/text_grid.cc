// Source: the description of TextGrid files in the manual of Praat (https://www.fon.hum.uva.nl/praat).
#include "output/text_grid.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "output/unicode_text.h"

namespace qasr {
namespace {

constexpr double kShortest_s = 1e-3;  // Praat wants intervals of some length

struct Interval {
  double begin_s = 0, end_s = 0;
  std::string text;
};

struct Tier {
  std::string name;
  std::vector<Interval> intervals;
};

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : replace_invalid_utf8(text)) {
    if (c == '"') out += '"';
    out += c == '\n' ? ' ' : c;
  }
  return out + '"';
}

// Intervals of a tier lie side by side, without gaps: what is not said is an empty one.
class TierBuilder {
 public:
  explicit TierBuilder(std::string name) { tier_.name = std::move(name); }
  void add(double begin_s, double end_s, std::string text) {
    begin_s = std::max(begin_s, at_s_);
    if (begin_s < at_s_ + kShortest_s) begin_s = at_s_;
    if (begin_s > at_s_) tier_.intervals.push_back({at_s_, begin_s, ""});
    at_s_ = std::max(end_s, begin_s + kShortest_s);
    tier_.intervals.push_back({begin_s, at_s_, std::move(text)});
  }
  double at_s() const { return at_s_; }
  Tier finish(double end_s) {
    if (end_s >= at_s_ + kShortest_s || tier_.intervals.empty()) tier_.intervals.push_back({at_s_, end_s, ""});
    tier_.intervals.back().end_s = end_s;
    return std::move(tier_);
  }

 private:
  Tier tier_;
  double at_s_ = 0;
};

std::string tier_text(const Tier& tier, std::size_t index, double end_s) {
  std::string out = "    item [" + std::to_string(index) +
                    "]:\n        class = \"IntervalTier\" \n        name = " + quoted(tier.name) +
                    " \n        xmin = 0 \n        xmax = " + number(end_s) +
                    " \n        intervals: size = " + std::to_string(tier.intervals.size()) + " \n";
  for (std::size_t n = 0; n < tier.intervals.size(); ++n) {
    const Interval& interval = tier.intervals[n];
    out += "        intervals [" + std::to_string(n + 1) + "]:\n            xmin = " + number(interval.begin_s) +
           " \n            xmax = " + number(interval.end_s) + " \n            text = " + quoted(interval.text) + " \n";
  }
  return out;
}

}  // namespace

std::string text_grid(const Transcript& transcript) {
  std::set<int> channels;
  for (const Segment& segment : transcript.segments) channels.insert(segment.channel);
  if (channels.empty()) channels.insert(-1);
  std::vector<TierBuilder> builders;
  double end_s = std::max(transcript.duration_s, kShortest_s);
  for (const int channel : channels) {
    std::string suffix;
    if (channel >= 0) suffix.append(" ").append(std::to_string(channel + 1));
    TierBuilder segments("segments" + suffix), words("words" + suffix);
    bool has_words = false;
    for (const Segment& segment : transcript.segments) {
      if (segment.channel != channel) continue;
      if (!segment.text.empty()) segments.add(segment.start_s, segment.end_s, segment.text);
      for (const Word& word : segment.words) {
        words.add(word.start_s, word.end_s, std::string(trim_spaces(word.surface.empty() ? word.text : word.surface)));
        has_words = true;
      }
    }
    end_s = std::max({end_s, segments.at_s(), words.at_s()});
    builders.push_back(std::move(segments));
    if (has_words) builders.push_back(std::move(words));
  }
  std::string out = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0 \nxmax = " + number(end_s) +
                    " \ntiers? <exists> \nsize = " + std::to_string(builders.size()) + " \nitem []: \n";
  for (std::size_t n = 0; n < builders.size(); ++n) out += tier_text(builders[n].finish(end_s), n + 1, end_s);
  return out;
}

}  // namespace qasr
