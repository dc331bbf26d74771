// How long aligning takes: clips of synthetic speech with made-up words, all in one call. Prints JSON.
//
//   align_speed MODEL [--clips N] [--seconds S] [--words W] [--runs R] [--device cpu|cuda] [--weights q8|bf16]
//
// One run warms up; the median of the others counts. bench/align.py runs it for the bars.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "bench/stopwatch.h"
#include "bench/synthetic_speech.h"
#include "qasr/align.h"
#include "qasr/audio.h"

namespace {

struct Arguments {
  std::string model, device = "cpu", weights = "auto";
  int clips = 1, words = 180, runs = 3, threads = 0;
  double seconds = 60;
};

// Common words of one or two tokens, as speech has them.
std::string make_text(int n_words) {
  constexpr const char* kWords[] = {"the", "light", "of", "morning", "came", "through", "a", "window", "and", "waited"};
  std::string text;
  for (int word = 0; word < n_words; ++word) text += std::string(word > 0 ? " " : "") + kWords[word % 10];
  return text;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (!argument.starts_with("--")) {
      arguments.model = argument;
    } else if (i + 1 < argc) {
      options[argument] = argv[++i];
    }
  }
  const auto number = [&](const char* name, double fallback) {
    return options.contains(name) ? std::stod(options[name]) : fallback;
  };
  arguments.clips = static_cast<int>(number("--clips", arguments.clips));
  arguments.words = static_cast<int>(number("--words", arguments.words));
  arguments.runs = static_cast<int>(number("--runs", arguments.runs));
  arguments.threads = static_cast<int>(number("--threads", arguments.threads));
  arguments.seconds = number("--seconds", arguments.seconds);
  if (options.contains("--device")) arguments.device = options["--device"];
  if (options.contains("--weights")) arguments.weights = options["--weights"];
  if (arguments.model.empty()) throw std::runtime_error("no model named");
  return arguments;
}

void run(const Arguments& arguments) {
  qasr::EngineOptions options{.n_threads = arguments.threads};
  if (arguments.device == "cuda") options.backend = qasr::BackendKind::kCuda;
  if (arguments.weights == "q8") options.weights = qasr::WeightFormat::kQ8;
  if (arguments.weights == "bf16") options.weights = qasr::WeightFormat::kBf16;
  if (const char* isa = std::getenv("QASR_CPU_ISA")) options.cpu_isa = isa;
  const auto aligner = qasr::Aligner::open(arguments.model, options);
  const std::vector<float> samples =
      qasr::bench::synthetic_speech(static_cast<std::size_t>(arguments.seconds * qasr::kSampleRate));
  const std::string text = make_text(arguments.words);
  const std::vector<qasr::AlignItem> items(static_cast<std::size_t>(arguments.clips),
                                           qasr::AlignItem{.samples = samples, .text = text});
  std::vector<double> wall_s, cpu_s;  // cpu_s: of all threads
  qasr::Timings timings;
  for (int pass = 0; pass <= arguments.runs; ++pass) {
    const qasr::bench::Stopwatch stopwatch;
    const std::clock_t cpu_start = std::clock();
    const std::vector<qasr::Alignment> found = aligner->align(items, {.max_piece_s = arguments.seconds});
    if (pass > 0) wall_s.push_back(stopwatch.ms() / 1000);
    if (pass > 0) cpu_s.push_back(static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
    timings = {};
    for (const qasr::Alignment& alignment : found) timings += alignment.timings;
  }
  std::sort(wall_s.begin(), wall_s.end());
  std::sort(cpu_s.begin(), cpu_s.end());
  const double median_s = wall_s[wall_s.size() / 2];
  std::printf(
      "{\"backend\": \"%s\", \"clips\": %d, \"audio_s\": %g, \"words\": %d, \"seconds\": %.4f, \"cpu_s\": %.2f, "
      "\"audio_s_per_s\": "
      "%.1f, "
      "\"encoding_ms\": %.1f, \"decoding_ms\": %.1f, \"positions\": %d}\n",
      aligner->backend_description().c_str(), arguments.clips, arguments.seconds, arguments.words, median_s,
      cpu_s[cpu_s.size() / 2], arguments.clips * arguments.seconds / median_s, timings.audio_encoding_ms,
      timings.text_generation_ms, timings.n_prompt_tokens);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "align_speed: %s\n", error.what());
    return 1;
  }
}
