#include "engine/word_times.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "engine/attempt.h"

namespace qasr {
namespace {

// Of several languages, "English,German", the first.
std::string_view first_language(std::string_view languages) { return languages.substr(0, languages.find(',')); }

}  // namespace

void set_word_times(const Aligner& aligner, std::span<const SpokenSegment> spoken) {
  std::vector<AlignItem> items;
  std::vector<Segment*> segments;
  for (const SpokenSegment& one : spoken) {
    if (one.segment->text.empty()) continue;
    segments.push_back(one.segment);
    items.push_back({.samples = one.samples,
                     .text = one.segment->text,
                     .language = first_language(one.segment->language),
                     .start_s = one.segment->start_s});
  }
  if (items.empty()) return;
  const Stopwatch stopwatch;
  std::vector<Alignment> alignments(items.size());
  const std::optional<Error> error = attempt("word times", [&] { alignments = aligner.align(items); });
  const double share_ms = stopwatch.ms() / static_cast<double>(items.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    Segment& segment = *segments[i];
    segment.timings.alignment_ms += share_ms;
    segment.words = std::move(alignments[i].words);
    for (std::string& warning : alignments[i].warnings) {
      segment.notes.push_back({NoteKind::kWordTimes, std::move(warning)});
    }
    if (error) segment.notes.push_back({NoteKind::kWordTimes, std::string("no word times: ") + error->what()});
  }
}

}  // namespace qasr
