// Labelled recordings for the voice activity detector, and how often it errs on them.
#pragma once

#include <string>
#include <vector>

#include "audio/voice_activity.h"

namespace qasr {

enum class FrameLabel : char {
  kUnscored,   ///< pauses between words, edges
  kSpeech,     ///< loud enough in the clean recording
  kNonSpeech,  ///< at least 0.3 s from any speech
};

struct VoiceScene {
  std::string name;
  std::vector<float> samples;
  std::vector<FrameLabel> labels;  ///< [ceil(n_samples / 160)]
};

/// What is heard behind or between speech.
struct SceneOptions {
  std::string background;  ///< a kind of make_noise, "music", or "" for none
  double snr_db = 20;      ///< speech over background
  double speech_db = -26;  ///< level of speech
  double pause_s = 4;      ///< before, between and after the recordings
};

/// Recordings one after the other with pauses.
VoiceScene make_scene(const std::string& name, const std::vector<std::vector<float>>& speech,
                      const SceneOptions& options, std::uint32_t seed);
/// All of it is no speech.
VoiceScene make_scene_without_speech(const std::string& name, std::vector<float> samples);

struct VoiceErrors {
  std::size_t n_speech = 0, n_missed = 0;  ///< frames
  std::size_t n_non_speech = 0, n_false = 0;
  double miss() const { return n_speech > 0 ? static_cast<double>(n_missed) / n_speech : 0; }
  double false_alarm() const { return n_non_speech > 0 ? static_cast<double>(n_false) / n_non_speech : 0; }
};

/// Of the detector's frames.
VoiceErrors frame_errors(const VoiceScene& scene);
/// Of what the segmenter gives to the model: pauses in speech are bridged, its edges widened.
VoiceErrors segment_errors(const VoiceScene& scene);

}  // namespace qasr
