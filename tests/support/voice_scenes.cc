#include "support/voice_scenes.h"

#include <algorithm>
#include <cmath>

#include "qasr/audio.h"
#include "qasr/segmentation.h"
#include "support/mixtures.h"

namespace qasr {
namespace {

constexpr std::size_t kHop = 160;
constexpr std::size_t kGuardFrames = 30;  // 0.3 s
constexpr double kSpeechRangeDb = 25;     // below the loud parts of a recording

// Loud frames of the clean recording are speech, what lies far from the recording is not.
void label_speech(std::span<const float> speech, std::size_t first_frame, std::vector<FrameLabel>& labels) {
  std::vector<double> levels;
  for (std::size_t t = 0; t + kHop <= speech.size(); t += kHop) levels.push_back(level_db(speech.subspan(t, kHop)));
  std::vector<double> sorted = levels;
  std::sort(sorted.begin(), sorted.end());
  const double loud = sorted.empty() ? 0 : sorted[sorted.size() * 9 / 10];
  const std::size_t begin = first_frame - std::min(first_frame, kGuardFrames);
  const std::size_t end = std::min(labels.size(), first_frame + levels.size() + kGuardFrames + 1);
  std::fill(labels.begin() + begin, labels.begin() + end, FrameLabel::kUnscored);
  for (std::size_t frame = 0; frame < levels.size(); ++frame) {
    if (levels[frame] > loud - kSpeechRangeDb) labels[first_frame + frame] = FrameLabel::kSpeech;
  }
}

}  // namespace

VoiceScene make_scene(const std::string& name, const std::vector<std::vector<float>>& speech,
                      const SceneOptions& options, std::uint32_t seed) {
  const auto n_pause = static_cast<std::size_t>(options.pause_s * 100) * kHop;
  std::size_t n_samples = n_pause;
  for (const auto& clip : speech) n_samples += (clip.size() + kHop - 1) / kHop * kHop + n_pause;
  VoiceScene scene{name, std::vector<float>(n_samples),
                   std::vector<FrameLabel>(n_samples / kHop, FrameLabel::kNonSpeech)};
  std::size_t at = n_pause;
  for (const auto& clip : speech) {
    mix_into(scene.samples, clip, at, options.speech_db - level_db(clip));
    label_speech(clip, at / kHop, scene.labels);
    at += (clip.size() + kHop - 1) / kHop * kHop + n_pause;
  }
  if (options.background.empty()) return scene;
  const std::vector<float> background =
      options.background == "music" ? make_music(n_samples, seed) : make_noise(options.background, n_samples, seed);
  mix_into(scene.samples, background, 0, options.speech_db - options.snr_db - level_db(background));
  return scene;
}

VoiceScene make_scene_without_speech(const std::string& name, std::vector<float> samples) {
  const std::size_t n_frames = (samples.size() + kHop - 1) / kHop;
  return {name, std::move(samples), std::vector<FrameLabel>(n_frames, FrameLabel::kNonSpeech)};
}

namespace {

VoiceErrors count_errors(const VoiceScene& scene, const std::vector<char>& found) {
  VoiceErrors errors;
  for (std::size_t t = 0; t < std::min(found.size(), scene.labels.size()); ++t) {
    const bool speech = scene.labels[t] == FrameLabel::kSpeech;
    if (scene.labels[t] == FrameLabel::kUnscored) continue;
    (speech ? errors.n_speech : errors.n_non_speech) += 1;
    if (speech != (found[t] != 0)) (speech ? errors.n_missed : errors.n_false) += 1;
  }
  return errors;
}

}  // namespace

VoiceErrors frame_errors(const VoiceScene& scene) {
  VoiceActivity detector;
  std::vector<VoiceFrame> frames;
  detector.push(scene.samples, frames);
  detector.finish(frames);
  std::vector<char> found;
  for (const VoiceFrame& frame : frames) found.push_back(frame.speech);
  return count_errors(scene, found);
}

VoiceErrors segment_errors(const VoiceScene& scene) {
  SpeechSegmenter segmenter;
  std::vector<SpeechSegment> segments;
  segmenter.push(scene.samples, segments);
  segmenter.finish(segments);
  std::vector<char> found(scene.labels.size());
  for (const SpeechSegment& segment : segments) {
    const auto begin = static_cast<std::size_t>(std::lround(segment.start_s * kSampleRate)) / kHop;
    const std::size_t end = std::min(found.size(), begin + (segment.samples.size() + kHop - 1) / kHop);
    std::fill(found.begin() + static_cast<std::ptrdiff_t>(begin), found.begin() + static_cast<std::ptrdiff_t>(end), 1);
  }
  return count_errors(scene, found);
}

}  // namespace qasr
