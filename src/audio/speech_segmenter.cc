// SpeechSegmenter: samples -> frames with a level and a voice decision -> segments. Step 3 of the walk for streams.
#include <algorithm>
#include <cmath>
#include <string>

#include "audio/voice_activity.h"
#include "qasr/audio.h"
#include "qasr/error.h"
#include "qasr/segmentation.h"

namespace qasr {
namespace {

constexpr std::size_t kHop = 160;
constexpr std::size_t kFramesPerS = 100;
constexpr std::size_t kPad = 30;          // frames kept before and after speech
constexpr std::size_t kShortPause = 25;   // frames; ends a segment of target length
constexpr std::size_t kMinSpeech = 8;     // frames; less is a click
constexpr std::size_t kQuietWindow = 15;  // frames
constexpr std::size_t kMaxSearch = 10 * kFramesPerS;

std::size_t frames_of(const char* name, double seconds, double least) {
  if (!std::isfinite(seconds) || seconds < least || seconds > 1e6) {
    throw Error(ErrorCode::kInvalidArgument, std::string("segmentation: ") + name + " is " + std::to_string(seconds) +
                                                 ", expected at least " + std::to_string(least) + " seconds");
  }
  return static_cast<std::size_t>(std::lround(seconds * kFramesPerS));
}

double power_of(std::span<const float> samples) {
  double sum = 0;
  for (float x : samples) sum += static_cast<double>(x) * x;
  return sum;
}

}  // namespace

struct SpeechSegmenter::Impl {
  Impl(const SegmentationOptions& wanted, double start)
      : options(wanted),
        start_s(start),
        max_frames(frames_of("max_s", wanted.max_s, 1)),
        target_frames(std::min(max_frames, frames_of("target_s", wanted.target_s, 0))),
        max_pause(frames_of("max_pause_s", wanted.max_pause_s, 0.3)) {}

  struct Frame {
    float power = 0;
    bool speech = true;
  };

  void push(std::span<const float> samples);
  void add_frames();
  void advance(std::vector<SpeechSegment>& out);
  void step(std::vector<SpeechSegment>& out);
  void drop_before(std::size_t frame);
  std::size_t ending_pause(std::size_t length) const;
  std::size_t quietest_cut() const;
  void close(std::size_t end, std::vector<SpeechSegment>& out);
  void finish(std::vector<SpeechSegment>& out);
  void leave_out(std::size_t end);
  double time_of(std::size_t frame) const {
    return start_s + static_cast<double>(std::min<std::uint64_t>(frame * kHop, n_samples)) / kSampleRate;
  }
  std::size_t end_frame() const { return base + frames.size(); }

  SegmentationOptions options;
  double start_s;
  std::size_t max_frames, target_frames, max_pause;
  VoiceActivity detector;
  std::vector<VoiceFrame> decided;
  std::uint64_t n_samples = 0;

  std::vector<float> samples;  // from frame `base` on
  std::vector<Frame> frames;   // decided ones, from `base` on
  std::size_t base = 0;        // of the open segment, or of what the next may begin with
  std::size_t cursor = 0;      // next frame to look at, from `base`
  bool open = false;
  std::size_t last_speech = 0;  // frame
  std::size_t covered = 0;      // frames up to here are in a segment or in `left_out`
  std::vector<NonSpeech> left_out;
};

void SpeechSegmenter::Impl::push(std::span<const float> more) {
  n_samples += more.size();
  samples.insert(samples.end(), more.begin(), more.end());
  if (options.voice_activity) detector.push(more, decided);
  add_frames();
}

// Frames that are decided; without a detector, all that are complete.
void SpeechSegmenter::Impl::add_frames() {
  const std::size_t n_complete = options.voice_activity ? frames.size() + decided.size() : samples.size() / kHop;
  const std::size_t n_before = frames.size();
  frames.reserve(n_complete);
  while (frames.size() < n_complete) {
    const std::size_t begin = frames.size() * kHop;
    const std::size_t length = std::min(kHop, samples.size() - std::min(samples.size(), begin));
    const bool speech = !options.voice_activity || decided[frames.size() - n_before].speech;
    frames.push_back({static_cast<float>(power_of(std::span(samples).subspan(begin, length))), speech});
  }
  decided.clear();
}

void SpeechSegmenter::Impl::advance(std::vector<SpeechSegment>& out) {
  if (options.keep_short_whole && n_samples <= max_frames * kHop) return;
  while (cursor < frames.size()) step(out);
}

void SpeechSegmenter::Impl::drop_before(std::size_t frame) {
  const std::size_t n = std::min(frame - base, frames.size());
  frames.erase(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(n));
  samples.erase(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(std::min(n * kHop, samples.size())));
  base += n;
  cursor -= std::min(cursor, n);
}

void SpeechSegmenter::Impl::step(std::vector<SpeechSegment>& out) {
  const std::size_t now = base + cursor;
  const bool speech = frames[cursor].speech;
  ++cursor;
  if (!open) {
    const std::size_t padded = std::max(base, now - std::min(now, kPad));
    if (speech || padded - base >= kFramesPerS) drop_before(padded);  // not at every frame: it moves what is kept
    if (!speech) return;
    open = true;
  }
  if (speech) last_speech = now;
  const std::size_t pause = now - last_speech;
  if (pause >= ending_pause(last_speech + 1 - base)) {
    close(last_speech + 1 + std::min(kPad, pause / 2), out);
  } else if (now + 1 - base >= max_frames) {
    close(quietest_cut(), out);
  }
}

// How long a pause must be to end a segment of that length: the longer it is, the shorter.
std::size_t SpeechSegmenter::Impl::ending_pause(std::size_t length) const {
  if (length >= target_frames) return kShortPause;
  return std::max(kShortPause, max_pause * (target_frames - length) / target_frames);
}

// The middle of the quietest window in the last third of a segment that has reached its limit; the last of equals.
std::size_t SpeechSegmenter::Impl::quietest_cut() const {
  const std::size_t search = std::min(kMaxSearch, max_frames / 3);
  const std::size_t end = cursor, begin = cursor - search;
  if (search <= kQuietWindow) return base + end;
  double best = INFINITY;
  std::size_t cut = end;
  for (std::size_t t = begin; t + kQuietWindow <= end; ++t) {
    double power = 0;
    for (std::size_t k = t; k < t + kQuietWindow; ++k) power += frames[k].power;
    if (power > best) continue;
    best = power;
    cut = t + kQuietWindow / 2;
  }
  return base + cut;
}

void SpeechSegmenter::Impl::leave_out(std::size_t end) {
  if (end > covered) left_out.push_back({.start_s = time_of(covered), .end_s = time_of(end)});
}

// Ends the open segment before frame `end` and looks at what follows again.
void SpeechSegmenter::Impl::close(std::size_t end, std::vector<SpeechSegment>& out) {
  open = false;
  const auto is_speech = [](const Frame& frame) { return frame.speech; };
  const auto n_speech = static_cast<std::size_t>(
      std::count_if(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(end - base), is_speech));
  if (n_speech >= kMinSpeech || !options.voice_activity) {
    leave_out(base);
    SpeechSegment segment;
    segment.start_s = time_of(base);
    const std::size_t n = std::min((end - base) * kHop, samples.size());
    segment.samples.assign(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(n));
    limit_to_unit(segment.samples);
    if (options.voice_activity) segment.speech_s = static_cast<double>(n_speech) / kFramesPerS;
    out.push_back(std::move(segment));
    covered = end;
  }
  drop_before(end);
  cursor = 0;
}

void SpeechSegmenter::Impl::finish(std::vector<SpeechSegment>& out) {
  if (options.voice_activity) detector.finish(decided);
  add_frames();
  if (frames.size() * kHop < samples.size()) {
    frames.push_back({static_cast<float>(power_of(std::span(samples).subspan(frames.size() * kHop))), true});
  }
  if (options.keep_short_whole && n_samples <= max_frames * kHop) {
    if (!frames.empty()) close(end_frame(), out);
  }
  while (cursor < frames.size()) step(out);
  if (open) close(options.voice_activity ? std::min(end_frame(), last_speech + 1 + kPad) : end_frame(), out);
  const std::size_t n_frames = (n_samples + kHop - 1) / kHop;
  leave_out(n_frames);
  covered = n_frames;
}

SpeechSegmenter::SpeechSegmenter(const SegmentationOptions& options, double start_s)
    : impl_(std::make_unique<Impl>(options, start_s)) {}
SpeechSegmenter::~SpeechSegmenter() = default;
SpeechSegmenter::SpeechSegmenter(SpeechSegmenter&&) noexcept = default;
SpeechSegmenter& SpeechSegmenter::operator=(SpeechSegmenter&&) noexcept = default;

void SpeechSegmenter::push(std::span<const float> samples, std::vector<SpeechSegment>& out) {
  impl_->push(samples);
  impl_->advance(out);
}

void SpeechSegmenter::finish(std::vector<SpeechSegment>& out) { impl_->finish(out); }

const std::vector<NonSpeech>& SpeechSegmenter::non_speech() const noexcept { return impl_->left_out; }

}  // namespace qasr
