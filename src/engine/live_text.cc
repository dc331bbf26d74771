#include "engine/live_text.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/utf8.h"
#include "engine/answer_segment.h"
#include "engine/word_times.h"
#include "qasr/formats.h"
#include "text/asr_output.h"

namespace qasr {
namespace {

constexpr std::size_t kSeparatorTail = 64;  // bytes that segment_separator looks at, and more

}  // namespace

LiveText::LiveText(const Model& model, StreamState& state)
    : model_(model), state_(state), stream_(!state.settings().request.forced_language.empty()) {}

void LiveText::begin_segment(double start_s) {
  stream_ = TranscriptStream(!state_.settings().request.forced_language.empty());
  n_fed_ = 0;
  segment_text_.clear();
  partial_.clear();
  language_ = state_.settings().request.forced_language;
  start_s_ = committed_end_s_ = start_s;
}

std::string LiveText::separator(std::string_view text) const {
  return segment_text_.empty() ? segment_separator(transcript_tail_, text) : "";
}

StreamEvent LiveText::event(StreamEvent::Kind kind, double start_s, double end_s) const {
  StreamEvent event{.kind = kind};
  event.segment = n_segments_;
  event.language = language_;
  event.start_s = start_s;
  event.end_s = end_s;
  return event;
}

std::string LiveText::language_of(std::span<const std::int32_t> ids) const {
  return parse_asr_output(model_.tokenizer().decode(ids), state_.settings().request.forced_language).language;
}

void LiveText::show(const LiveAnswer& answer, std::size_t n_committed, double audio_end_s) {
  const std::span<const std::int32_t> ids = answer.ids;
  language_ = language_of(ids);
  std::string committed;
  for (; n_fed_ < n_committed; ++n_fed_) committed += stream_.feed(model_.tokenizer().token_bytes(ids[n_fed_]));
  commit(committed, audio_end_s);
  TranscriptStream ahead = stream_;
  std::string partial;
  for (const std::int32_t id : ids.subspan(n_fed_)) partial += ahead.feed(model_.tokenizer().token_bytes(id));
  show_partial(partial, audio_end_s);
}

void LiveText::commit(std::string_view text, double audio_end_s) {
  if (text.empty()) return;
  StreamEvent committed = event(StreamEvent::Kind::kCommitted, committed_end_s_, audio_end_s);
  committed.separator = separator(text);
  committed.text = text;
  transcript_tail_ += committed.separator + committed.text;
  const std::size_t most = std::max(kSeparatorTail, 2 * state_.settings().carry_context_bytes);
  if (transcript_tail_.size() > 2 * most) transcript_tail_.erase(0, transcript_tail_.size() - most);
  segment_text_ += text;
  committed_end_s_ = audio_end_s;
  partial_.clear();
  state_.emit(std::move(committed));
}

// Not shown again if it is the same.
void LiveText::show_partial(std::string_view text, double audio_end_s) {
  if (text == partial_) return;
  partial_ = text;
  StreamEvent partial = event(StreamEvent::Kind::kPartial, start_s_, audio_end_s);
  partial.separator = separator(text);
  partial.text = text;
  state_.emit(std::move(partial));
}

void LiveText::end_segment(const LiveAnswer& answer, std::span<const float> samples, double end_s,
                           const Timings& timings) {
  const std::string& forced = state_.settings().request.forced_language;
  const AsrOutput output = parse_asr_output(model_.tokenizer().decode(answer.ids), forced);
  language_ = output.language;
  // Text that the clean-up of repetitions changed after it was committed stays as it is.
  if (output.text.starts_with(segment_text_)) commit(output.text.substr(segment_text_.size()), end_s);
  if (segment_text_.empty()) return drop_segment();
  StreamEvent end = event(StreamEvent::Kind::kSegmentEnd, start_s_, end_s);
  Segment segment = make_segment(answer, end_s, timings);
  if (const auto& aligner = state_.settings().request.aligner) {
    set_word_times(*aligner, std::vector<SpokenSegment>{{&segment, samples}});
  }
  end.result = std::make_shared<const Segment>(std::move(segment));
  state_.emit(std::move(end));
  ++n_segments_;
  state_.add_segment();
}

void LiveText::drop_segment() { show_partial("", committed_end_s_); }

Segment LiveText::make_segment(const LiveAnswer& answer, double end_s, const Timings& timings) const {
  const RequestSettings& settings = state_.settings().request;
  Segment segment;
  segment.start_s = start_s_;
  segment.end_s = end_s;
  segment.text = segment_text_;
  segment.language = language_;
  segment.raw_text = model_.tokenizer().decode(answer.ids);
  segment.truncated = answer.truncated;
  segment.timings = timings;
  if (settings.wants_log_probs) {
    append_text_tokens(model_.tokenizer(), settings.forced_language, answer.ids, answer.log_probs, segment.tokens);
  }
  set_confidence(segment);
  if (!answer.problem.empty()) {
    segment.notes.push_back({NoteKind::kRepetition, answer.problem + "; the text is what came before"});
  }
  if (answer.truncated) segment.notes.push_back({NoteKind::kTruncated, "the answer was ended, not by the model"});
  return segment;
}

std::string LiveText::tail(std::size_t max_bytes) const {
  if (max_bytes == 0) return "";
  std::string_view text = transcript_tail_;
  if (text.size() > max_bytes) {
    text.remove_prefix(text.size() - max_bytes);
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos) text.remove_prefix(space + 1);
    while (!text.empty() && (static_cast<unsigned char>(text.front()) & 0xC0) == 0x80) text.remove_prefix(1);
  }
  return std::string(text);
}

}  // namespace qasr
