// How far word times are from the true ones, which the synthesisers of the held-out recordings tell. Prints JSON.
//
//   align_shift MODEL FOLDER     FOLDER has recordings, manifest.tsv (set, file, text) and word_times.json
//                                (file -> [[word, start, end], ...], written by tools/train_demo/make_word_times.py)
//
// A time that is null is not known; recordings without times are left out. Three measurements: every recording with the
// default times and with the official correction; all recordings one after the other, up to ten minutes. bench/align.py
// prints them beside their goals.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "qasr/align.h"
#include "qasr/audio.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kFarS = 0.2, kLostS = 1, kPauseS = 0.5, kLongS = 600;

struct TrueWord {
  std::optional<double> start_s, end_s;
};

struct Clip {
  std::vector<float> samples;
  std::string text;
  std::vector<TrueWord> words;
};

std::optional<double> time_of(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

std::vector<Clip> read_clips(const fs::path& folder) {
  std::ifstream times_file(folder / "word_times.json"), manifest(folder / "manifest.tsv");
  const json times = json::parse(times_file);
  std::vector<Clip> clips;
  std::string set, name, text;
  while (std::getline(manifest, set, '\t') && std::getline(manifest, name, '\t') && std::getline(manifest, text)) {
    if (!times.contains(name)) continue;
    Clip clip{.samples = qasr::load_audio(folder / name).samples, .text = text};
    for (const json& word : times.at(name)) clip.words.push_back({time_of(word.at(1)), time_of(word.at(2))});
    clips.push_back(std::move(clip));
  }
  return clips;
}

// Differences between found and true times.
class Shifts {
 public:
  void add(const qasr::Alignment& found, const Clip& clip) {
    n_missing_ += clip.words.size() - std::min(found.words.size(), clip.words.size());
    for (std::size_t n = 0; n < std::min(found.words.size(), clip.words.size()); ++n) {
      double largest = 0;
      largest = std::max(largest, add_time(found.words[n].start_s, clip.words[n].start_s));
      largest = std::max(largest, add_time(found.words[n].end_s, clip.words[n].end_s));
      ++n_words_;
      n_far_ += largest > kFarS ? 1 : 0;
      n_lost_ += largest > kLostS ? 1 : 0;
      confidence_ += found.words[n].confidence;
    }
  }
  json summary() const {
    const auto n_words = static_cast<double>(std::max<std::size_t>(n_words_, 1));
    return {{"words", n_words_},
            {"shift_ms", n_times_ > 0 ? 1000 * sum_ / static_cast<double>(n_times_) : 0},
            {"bias_ms", n_times_ > 0 ? 1000 * bias_ / static_cast<double>(n_times_) : 0},
            {"far", static_cast<double>(n_far_) / n_words},
            {"lost", n_lost_ + n_missing_},
            {"confidence", confidence_ / n_words}};
  }

 private:
  double add_time(double found_s, const std::optional<double>& true_s) {
    if (!true_s) return 0;
    const double shift = found_s - *true_s;
    ++n_times_;
    sum_ += std::abs(shift);
    bias_ += shift;
    return std::abs(shift);
  }
  std::size_t n_words_ = 0, n_times_ = 0, n_far_ = 0, n_lost_ = 0, n_missing_ = 0;
  double sum_ = 0, bias_ = 0, confidence_ = 0;
};

json measure(const qasr::Aligner& aligner, const std::vector<Clip>& clips, qasr::TimeCorrection times) {
  std::vector<qasr::AlignItem> items;
  for (const Clip& clip : clips) items.push_back({.samples = clip.samples, .text = clip.text});
  const std::vector<qasr::Alignment> found = aligner.align(items, {.language = "English", .times = times});
  Shifts shifts;
  for (std::size_t n = 0; n < clips.size(); ++n) shifts.add(found[n], clips[n]);
  return shifts.summary();
}

// Recordings one after the other, with a pause between them.
Clip join(const std::vector<Clip>& clips) {
  Clip all;
  for (std::size_t n = 0; static_cast<double>(all.samples.size()) < kLongS * qasr::kSampleRate; ++n) {
    const Clip& clip = clips[n % clips.size()];
    const double at_s = static_cast<double>(all.samples.size()) / qasr::kSampleRate;
    const auto later = [&](std::optional<double> time_s) {
      if (time_s) *time_s += at_s;
      return time_s;
    };
    for (const TrueWord& word : clip.words) all.words.push_back({later(word.start_s), later(word.end_s)});
    all.text += (all.text.empty() ? "" : " ") + clip.text;
    all.samples.insert(all.samples.end(), clip.samples.begin(), clip.samples.end());
    all.samples.resize(all.samples.size() + static_cast<std::size_t>(kPauseS * qasr::kSampleRate));
  }
  return all;
}

void run(const std::string& model, const fs::path& folder) {
  const auto aligner = qasr::Aligner::open(model);
  const std::vector<Clip> clips = read_clips(folder);
  json report = {{"backend", aligner->backend_description()},
                 {"clips", clips.size()},
                 {"repaired", measure(*aligner, clips, qasr::TimeCorrection::kRepaired)},
                 {"official", measure(*aligner, clips, qasr::TimeCorrection::kOfficial)}};
  const Clip long_clip = join(clips);
  const qasr::Alignment found = aligner->align(long_clip.samples, long_clip.text, {.language = "English"});
  Shifts shifts;
  shifts.add(found, long_clip);
  report["long"] = shifts.summary();
  report["long"]["seconds"] = found.duration_s;
  report["long"]["pieces"] = found.n_pieces;
  report["long"]["warnings"] = found.warnings;
  std::printf("%s\n", report.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: align_shift MODEL FOLDER\n", stderr);
    return 2;
  }
  try {
    run(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "align_shift: %s\n", error.what());
    return 1;
  }
}
