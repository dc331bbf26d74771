// Makes a long recording of parts, with labels: 16 kHz mono WAV, written as it is made.
//
//   make_mixture --plan plan.tsv --out mixture.wav --labels labels.tsv
//
// The plan has one part a line, fields separated by tabs; levels are dB of RMS relative to full scale:
//   speech   FILE  LEVEL [NOISE LEVEL]    a recording, perhaps with noise behind it
//   silence  SECONDS
//   noise    KIND  SECONDS LEVEL          white, pink, hum, fan, clicks
//   music    SEED  SECONDS LEVEL
// Labels: start and end in seconds, kind, file or kind of noise.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include "qasr/audio.h"
#include "qasr/error.h"
#include "support/mixtures.h"

namespace {

using namespace qasr;

[[noreturn]] void bad_line(const std::string& line) {
  throw Error(ErrorCode::kInvalidArgument, "plan: found '" + line + "', expected speech, silence, noise or music");
}

class WavWriter {
 public:
  explicit WavWriter(const std::string& path) : file_(path, std::ios::binary) { write_header(0); }
  void append(const std::vector<float>& samples) {
    std::vector<std::int16_t> integers;
    for (float x : samples) {
      integers.push_back(static_cast<std::int16_t>(std::lround(std::clamp(x, -1.0f, 1.0f) * 32767)));
    }
    file_.write(reinterpret_cast<const char*>(integers.data()), static_cast<std::streamsize>(2 * integers.size()));
    n_samples_ += samples.size();
  }
  double seconds() const { return static_cast<double>(n_samples_) / kSampleRate; }
  bool finish() {
    file_.seekp(0);
    write_header(static_cast<std::uint32_t>(2 * n_samples_));
    file_.close();
    return !file_.fail();
  }

 private:
  void write_header(std::uint32_t data_bytes) {
    const auto number = [&](std::uint32_t value, int n_bytes) {
      for (int byte = 0; byte < n_bytes; ++byte) file_.put(static_cast<char>(value >> (8 * byte)));
    };
    file_ << "RIFF";
    number(36 + data_bytes, 4);
    file_ << "WAVEfmt ";
    number(16, 4);
    number(1, 2);
    number(1, 2);
    number(kSampleRate, 4);
    number(2 * kSampleRate, 4);
    number(2, 2);
    number(16, 2);
    file_ << "data";
    number(data_bytes, 4);
  }
  std::ofstream file_;
  std::uint64_t n_samples_ = 0;
};

std::vector<float> at_level(std::vector<float> samples, double wanted_db) {
  const double gain = std::pow(10.0, (wanted_db - level_db(samples)) / 20);
  for (float& x : samples) x = static_cast<float>(x * gain);
  return samples;
}

std::size_t samples_of(double seconds) { return static_cast<std::size_t>(std::lround(seconds * kSampleRate)); }

class Plan {
 public:
  std::vector<float> part(const std::string& line, std::string& label) {
    std::istringstream fields(line);
    std::string kind, name;
    double seconds = 0, level = 0;
    fields >> kind;
    if (kind == "silence") {
      if (!(fields >> seconds)) bad_line(line);
      return std::vector<float>(samples_of(seconds));
    }
    if (!std::getline(fields >> std::ws, name, '\t')) bad_line(line);
    label = name;
    if (kind == "speech") return speech(name, fields, line);
    if (!(fields >> seconds >> level)) bad_line(line);
    ++seed_;
    if (kind == "music")
      return at_level(make_music(samples_of(seconds), static_cast<std::uint32_t>(std::stoul(name))), level);
    if (kind == "noise") return at_level(noise(name, samples_of(seconds), line), level);
    bad_line(line);
  }

 private:
  std::vector<float> noise(const std::string& kind, std::size_t n_samples, const std::string& line) {
    std::vector<float> samples = make_noise(kind, n_samples, ++seed_);
    if (samples.empty() && n_samples > 0) bad_line(line);
    return samples;
  }
  std::vector<float> speech(const std::string& file, std::istringstream& fields, const std::string& line) {
    double level = 0, noise_level = 0;
    std::string kind;
    if (!(fields >> level)) bad_line(line);
    if (!loaded_.contains(file)) loaded_[file] = load_audio(std::filesystem::path(file)).samples;
    std::vector<float> samples = at_level(loaded_[file], level);
    if (fields >> kind) {
      if (!(fields >> noise_level)) bad_line(line);
      mix_into(samples, at_level(noise(kind, samples.size(), line), noise_level), 0, 0);
    }
    return samples;
  }
  std::map<std::string, std::vector<float>> loaded_;
  std::uint32_t seed_ = 0;
};

void run(const std::string& plan_file, const std::string& out_file, const std::string& label_file) {
  std::ifstream lines(plan_file);
  if (!lines) throw Error(ErrorCode::kInput, "cannot read " + plan_file);
  WavWriter wav(out_file);
  std::ofstream labels(label_file);
  Plan plan;
  std::string line;
  while (std::getline(lines, line)) {
    if (line.empty()) continue;
    std::string label;
    const double start_s = wav.seconds();
    wav.append(plan.part(line, label));
    labels << start_s << '\t' << wav.seconds() << '\t' << line.substr(0, line.find('\t')) << '\t' << label << '\n';
  }
  labels.close();
  if (!wav.finish() || !labels) throw Error(ErrorCode::kInternal, "cannot write " + out_file + " or " + label_file);
  std::printf("%.2f s\n", wav.seconds());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Makes a long recording of parts, with labels");
  std::string plan_file, out_file, label_file;
  app.add_option("--plan", plan_file, "Parts, one a line")->required();
  app.add_option("--out", out_file, "The recording")->required();
  app.add_option("--labels", label_file, "What is where")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    run(plan_file, out_file, label_file);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_mixture: %s\n", error.what());
    return 1;
  }
}
