// How often the voice activity detector errs: speech missed, and other sound taken for speech, on mixtures made of
// recordings (docs/transcribing.md). With --dump it writes what its model is fitted to (tools/fit_voice_model.py).
//
//   vad_bench --speech tests/data/heldout/*.flac [--other music/*.ogg] [--dump statistics.tsv]
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "qasr/audio.h"
#include "support/mixtures.h"
#include "support/voice_scenes.h"

namespace {

using namespace qasr;

struct Recordings {
  std::vector<std::string> names;
  std::vector<std::vector<float>> samples;
};

Recordings load(const std::vector<std::string>& files) {
  Recordings recordings;
  for (const std::string& file : files) {
    const AudioStreamOptions options{.duration_s = 90};
    AudioStream stream(file, options);
    std::vector<std::vector<float>> lanes;
    std::vector<float> samples;
    while (stream.read(lanes)) samples.insert(samples.end(), lanes[0].begin(), lanes[0].end());
    if (samples.empty()) continue;
    recordings.names.push_back(file);
    recordings.samples.push_back(std::move(samples));
  }
  return recordings;
}

// Pieces of 1 to 8 s between silences: what begins and ends.
std::vector<float> make_bursts(const std::string& kind, std::uint32_t seed) {
  MixtureRandom random(seed);
  std::vector<float> out(60 * kSampleRate);
  for (double at_s = 1; at_s < 58;) {
    const double length_s = random.between(1, 8);
    const auto n = static_cast<std::size_t>(length_s * kSampleRate);
    const auto piece =
        kind == "music" ? make_music(n, seed * 100 + static_cast<std::uint32_t>(at_s)) : make_noise(kind, n, ++seed);
    mix_into(out, piece, static_cast<std::size_t>(at_s * kSampleRate), random.between(-25, 0));
    at_s += length_s + random.between(0.5, 2.5);
  }
  return out;
}

std::vector<VoiceScene> scenes_of(const Recordings& speech, const Recordings& other, int n_music) {
  std::vector<VoiceScene> scenes;
  std::uint32_t seed = 1;
  for (const char* background : {"", "white", "pink", "hum", "fan", "clicks", "music"}) {
    for (double snr_db : {20.0, 10.0, 5.0}) {
      if (*background == '\0' && snr_db < 20) continue;
      std::string name = *background == '\0' ? "speech, clean" : std::string("speech, ") + background + " at ";
      if (*background != '\0') name += std::to_string(static_cast<int>(snr_db)) + " dB";
      scenes.push_back(make_scene(name, speech.samples, {.background = background, .snr_db = snr_db}, ++seed));
    }
  }
  for (double level : {-40.0, -50.0}) {
    scenes.push_back(make_scene("speech, clean, level " + std::to_string(static_cast<int>(level)) + " dB",
                                speech.samples, {.speech_db = level}, ++seed));
  }
  scenes.push_back(make_scene("speech, no pauses", speech.samples, {.pause_s = 0.2}, ++seed));
  scenes.push_back(make_scene_without_speech("silence", std::vector<float>(60 * kSampleRate)));
  for (const char* kind : {"white", "pink", "hum", "fan", "clicks"}) {
    scenes.push_back(make_scene_without_speech(kind, make_noise(kind, 60 * kSampleRate, ++seed)));
  }
  for (int piece = 0; piece < n_music; ++piece) {
    scenes.push_back(make_scene_without_speech("music " + std::to_string(piece), make_music(60 * kSampleRate, ++seed)));
  }
  for (const char* kind :
       {"white", "pink", "hum", "fan", "clicks", "music", "music", "music", "music", "music", "music"}) {
    scenes.push_back(make_scene_without_speech(std::string("bursts of ") + kind, make_bursts(kind, ++seed)));
  }
  for (std::size_t i = 0; i < other.names.size(); ++i) {
    scenes.push_back(make_scene_without_speech(other.names[i], other.samples[i]));
  }
  return scenes;
}

// One line per 100 ms: label, scene, the statistics.
void dump(const VoiceScene& scene, std::ofstream& out) {
  VoiceActivity detector;
  std::vector<VoiceFrame> frames;
  std::vector<std::pair<std::size_t, VoiceStatistics>> judged;
  for (std::size_t t = 0; t < scene.samples.size(); t += 1600) {
    detector.push(std::span(scene.samples).subspan(t, std::min<std::size_t>(1600, scene.samples.size() - t)), frames);
    if (detector.n_judged() > 0) judged.emplace_back(detector.n_judged() - 1, detector.statistics());
  }
  detector.finish(frames);
  for (const auto& [frame, statistics] : judged) {
    if (statistics.n_active < 40 || !frames[frame].active || scene.labels[frame] == FrameLabel::kUnscored) continue;
    out << (scene.labels[frame] == FrameLabel::kSpeech) << '\t' << scene.name;
    for (float value : statistics.values) out << '\t' << value;
    out << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Errors of the voice activity detector");
  std::vector<std::string> speech_files, other_files;
  std::string dump_file;
  int n_music = 12;
  app.add_option("--speech", speech_files, "Recordings of speech")->required();
  app.add_option("--other", other_files, "Recordings without speech");
  app.add_option("--dump", dump_file, "Write the statistics of all frames here");
  app.add_option("--music", n_music, "Pieces of synthetic music")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::ofstream out;
  if (!dump_file.empty()) out.open(dump_file);
  std::printf("%-40s %8s %15s %15s\n", "scene: missed, false alarm", "seconds", "frames", "segments");
  for (const VoiceScene& scene : scenes_of(load(speech_files), load(other_files), n_music)) {
    if (out.is_open()) dump(scene, out);
    const VoiceErrors frames = frame_errors(scene), segments = segment_errors(scene);
    std::printf("%-40s %8.1f %6.2f%% %6.2f%% %6.2f%% %6.2f%%\n", scene.name.substr(scene.name.rfind('/') + 1).c_str(),
                scene.samples.size() / 16000.0, 100 * frames.miss(), 100 * frames.false_alarm(), 100 * segments.miss(),
                100 * segments.false_alarm());
  }
}
