// Session: checks the arguments, cuts the recording, transcribes segment by segment. Hop 2 of the walk.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "engine/engine_impl.h"
#include "engine/segmenter.h"
#include "engine/transcribe.h"
#include "qasr/engine.h"
#include "qasr/languages.h"
#include "text/asr_output.h"

namespace qasr {
namespace {

constexpr double kOfficialMaxSegment_s = 1200;
constexpr double kMinSegment_s = 1;

[[noreturn]] void bad_argument(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

std::string resolve_language(const std::string& language) {
  if (language.empty() || language == "auto") return "";
  const std::optional<Language> found = find_language(language);
  if (!found) {
    std::string known;
    for (const Language& entry : languages()) {
      known += (known.empty() ? "" : ", ") + std::string(entry.name) + " (" + std::string(entry.code) + ")";
    }
    bad_argument("unknown language \"" + language + "\", expected auto or one of " + known);
  }
  return std::string(found->name);
}

double resolve_max_segment(double requested_s, const ModelConfig& config) {
  if (std::isnan(requested_s) || requested_s < 0 || (requested_s > 0 && requested_s < kMinSegment_s)) {
    bad_argument("max_segment_s is " + std::to_string(requested_s) + ", expected 0 or at least 1");
  }
  if (requested_s > 0) return requested_s;
  return config.recommended_max_segment_s > 0 ? config.recommended_max_segment_s : kOfficialMaxSegment_s;
}

void check_samples(std::span<const float> samples) {
  const auto bad = std::find_if(samples.begin(), samples.end(), [](float x) { return !std::isfinite(x); });
  if (bad == samples.end()) return;
  bad_argument("sample " + std::to_string(bad - samples.begin()) + " is " + std::to_string(*bad) +
               ", expected finite numbers");
}

}  // namespace

struct Session::Impl {
  std::shared_ptr<const Engine> engine;
  SegmentWorkspace workspace;
};

Session::Session(std::shared_ptr<const Engine> engine) : impl_(std::make_unique<Impl>()) {
  if (engine == nullptr) bad_argument("Session: the engine is null");
  impl_->engine = std::move(engine);
}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Transcript Session::transcribe(std::span<const float> samples, const TranscribeOptions& options) {
  const Engine::Impl& engine = impl_->engine->impl();
  if (options.max_tokens < 0) {
    bad_argument("max_tokens is " + std::to_string(options.max_tokens) + ", expected 0 or more");
  }
  check_samples(samples);
  const double max_segment_s = resolve_max_segment(options.max_segment_s, engine.model->config());
  SegmentOptions segment_options{.forced_language = resolve_language(options.language),
                                 .context = options.context,
                                 .max_tokens = options.max_tokens,
                                 .pad_short_clips = options.pad_short_clips,
                                 .short_clip_padding = options.short_clip_padding};

  Transcript transcript;
  transcript.duration_s = static_cast<double>(samples.size()) / kSampleRate;
  std::vector<std::string> spoken;
  const std::vector<SegmentSpan> segments = split_segments(samples, max_segment_s);
  if (segments.size() > 1) segment_options.pad_short_clips = true;  // the official package pads pieces it has cut
  for (const SegmentSpan& span : segments) {
    bool first_piece = true;
    if (options.on_text) {
      segment_options.on_text = [&](std::string_view piece) {
        if (!std::exchange(first_piece, false)) return options.on_text(piece);
        options.on_text(segment_separator(transcript.text, piece) + std::string(piece));
      };
    }
    Segment segment = transcribe_segment(engine, samples.subspan(span.first_sample, span.n_samples), segment_options,
                                         impl_->workspace, transcript.timings);
    segment.start_s = static_cast<double>(span.first_sample) / kSampleRate;
    segment.end_s = static_cast<double>(span.first_sample + span.n_samples) / kSampleRate;
    transcript.text += segment_separator(transcript.text, segment.text) + segment.text;
    transcript.truncated = transcript.truncated || segment.truncated;
    spoken.push_back(segment.language);
    transcript.segments.push_back(std::move(segment));
  }
  transcript.language = join_languages(spoken);
  return transcript;
}

}  // namespace qasr
