// Checks a synthetic checkpoint of a published model's true size.
//
//   qasr_fullsize_check [--weights f32|bf16|q8|q4|q4g32] [--isa ISA] CONFIG...
//
// CONFIG is qwen3-asr-0.6b, qwen3-asr-0.6b-spiky, qwen3-asr-1.7b or qwen3-forced-aligner-0.6b (fullsize_aligner.h; ISA
// may be cuda there). f32 is compared with transformers in f32 (tests/golden/fullsize): encoder rows, logits and all
// greedy tokens. The other formats (all of them unless --weights names one) are compared with that f32 run, fed with
// the same tokens, because rounding may flip a close call: encoder output and logits of all steps. Exit code 1 if
// anything is off.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "audio/log_mel.h"
#include "backend/registry.h"
#include "fullsize_aligner.h"
#include "fullsize_report.h"
#include "golden_support.h"
#include "support/test_signals.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

// Against transformers, both f32: 28 layers of sums in different orders give 2e-6; real mistakes start at 1e-2.
constexpr double kF32Limit = 1e-3;

struct Limits {
  double encoder = 0, logits = 0;  // relative errors against f32
};

struct Format {
  const char* name;
  WeightFormat weights;
  DType kv;
  Limits plain, spiky;
};

// About 1.5 times what was measured (docs/fidelity.md); a wrong scale or a skipped block gives 0.5 and more. Synthetic
// weights amplify rounding more than trained ones do: attention is sharp, and nothing was trained to be robust.
constexpr Format kFormats[] = {
    {"f32", WeightFormat::kF32, DType::kF32, {}, {}},
    {"bf16", WeightFormat::kBf16, DType::kBf16, {1e-6, 1e-2}, {1e-6, 1e-2}},  // weights are bf16: the KV cache alone
    {"q8", WeightFormat::kQ8, DType::kBf16, {2.5e-2, 9e-2}, {4e-2, 1.2e-1}},
    {"q4", WeightFormat::kQ4, DType::kBf16, {2.5e-2, 7e-1}, {4e-2, 6.5e-1}},
    {"q4g32", WeightFormat::kQ4G32, DType::kBf16, {2.5e-2, 7e-1}, {4e-2, 6.5e-1}},
};

struct Options {
  std::string weights, isa;  // empty: all formats, the best instruction set
  std::vector<std::string> configs;
};

double logits_error(const GoldenArrays& golden, const std::string& prefix, std::span<const float> logits) {
  std::vector<float> found, expected;
  for (const char* part : {".top_", ".fixed_"}) {
    const std::vector<float>& values = golden.floats(prefix + part + "values");
    expected.insert(expected.end(), values.begin(), values.end());
    for (std::int32_t id : golden.ints(prefix + part + "ids")) found.push_back(logits[static_cast<std::size_t>(id)]);
  }
  return relative_error(found, expected);
}

// What one format makes of the recording, fed with the reference's tokens.
struct Run {
  std::vector<float> encoder;              // [n_audio_tokens, hidden]
  std::vector<std::vector<float>> logits;  // [n_tokens][vocab]: what each token is chosen from
};

struct Subject {
  GoldenArrays golden;
  CheckpointFiles files;
  std::size_t n_samples;
};

std::vector<std::int32_t> best_tokens(const std::vector<std::vector<float>>& logits) {
  std::vector<std::int32_t> ids;
  for (const std::vector<float>& row : logits) {
    ids.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return ids;
}

Run run_format(Backend& backend, const Subject& subject, const Format& format) {
  const BareModel model(subject.files, backend, format.weights);
  LogMelSpectrogram features;
  LogMel({.n_mels = model.config.audio.n_mels}).compute(tones_signal(subject.n_samples), features);
  const LogMelSpectrogram* batch[] = {&features};
  EncoderWorkspace workspace;
  DeviceTensor audio;
  model.encoder.forward(batch, ShortClipPadding::kOfficial, workspace, audio);
  Run run;
  run.encoder = download(backend, audio.view());
  run.logits = forced_logits(backend, model.decoder, {subject.golden.ints("prompt_ids"), audio.view()},
                             subject.golden.ints("generated_ids"), format.kv);
  return run;
}

std::size_t count_equal(const std::vector<std::int32_t>& found, const std::vector<std::int32_t>& expected) {
  std::size_t n_equal = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) n_equal += found.at(i) == expected[i] ? 1 : 0;
  return n_equal;
}

void compare_with_transformers(const Run& run, const GoldenArrays& golden, Report& report) {
  const std::vector<float>& rows = golden.floats("encoder.output");
  const std::vector<std::int32_t> indices = golden.ints("encoder.rows");
  const std::int64_t cols = static_cast<std::int64_t>(rows.size() / indices.size());
  report.error("encoder output", relative_error(pick_rows(run.encoder, cols, indices), rows), kF32Limit);
  report.error("logits of the prompt", logits_error(golden, "prefill", run.logits.front()), kF32Limit);
  report.error("logits of the last step", logits_error(golden, "last", run.logits.back()), kF32Limit);
  const std::vector<std::int32_t> tokens = golden.ints("generated_ids");
  report.count("greedy tokens", count_equal(best_tokens(run.logits), tokens), tokens.size());
}

void compare_with_f32(const Run& run, const Run& exact, const Limits& limits, Report& report) {
  report.error("encoder output", relative_error(run.encoder, exact.encoder), limits.encoder);
  report.error("logits, all steps", relative_error(run.logits, exact.logits), limits.logits);
  double largest = 0;
  for (std::size_t step = 0; step < exact.logits.size(); ++step) {
    largest = std::max(largest, relative_error(run.logits[step], exact.logits[step]));
  }
  std::printf("  %-28s %.2e\n", "logits, worst step", largest);
  std::printf("  %-28s %zu of %zu\n", "same choices", count_equal(best_tokens(run.logits), best_tokens(exact.logits)),
              exact.logits.size());
}

bool check(const std::string& name, const Options& options) {
  if (name == kFullsizeAligner) return check_fullsize_aligner(options.isa);
  const nlohmann::json record = read_json(source_path("tests/golden/fullsize/" + name + ".json"));
  const Subject subject{
      .golden = GoldenArrays(source_path("tests/golden/fullsize/" + record.at("file").get<std::string>())),
      .files = synthetic_checkpoint(synthetic_model(name), {.seed = record.at("seed").get<std::uint32_t>()}),
      .n_samples = record.at("n_samples").get<std::size_t>()};
  const std::unique_ptr<Backend> backend = make_cpu_backend(0, options.isa);
  Report report;
  Run exact;
  for (const Format& format : kFormats) {
    const bool is_f32 = format.weights == WeightFormat::kF32;
    if (!is_f32 && !options.weights.empty() && options.weights != format.name) continue;
    const auto started = std::chrono::steady_clock::now();
    std::printf("%s, %s, %s weights, %s KV cache\n", name.c_str(), backend->description().c_str(), format.name,
                std::string(dtype_name(format.kv)).c_str());
    Run run = run_format(*backend, subject, format);
    if (is_f32) {
      compare_with_transformers(run, subject.golden, report);
      exact = std::move(run);
    } else {
      compare_with_f32(run, exact, name.ends_with("-spiky") ? format.spiky : format.plain, report);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
    std::printf("  %.0f s\n", elapsed.count());
  }
  return report.passed();
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--weights" && has_value) {
      options.weights = argv[++i];
      const auto is_named = [&](const Format& format) { return options.weights == format.name; };
      if (std::none_of(std::begin(kFormats), std::end(kFormats), is_named)) {
        throw std::runtime_error("--weights is f32, bf16, q8, q4 or q4g32, not " + options.weights);
      }
    } else if (argument == "--isa" && has_value) {
      options.isa = argv[++i];
    } else {
      options.configs.push_back(argument);
    }
  }
  if (options.configs.empty())
    throw std::runtime_error(
        "no configuration named: qwen3-asr-0.6b, qwen3-asr-0.6b-spiky, qwen3-asr-1.7b, qwen3-forced-aligner-0.6b");
  return options;
}

}  // namespace
}  // namespace qasr::testing

int main(int argc, char** argv) {
  try {
    const qasr::testing::Options options = qasr::testing::parse_options(argc, argv);
    bool passed = true;
    for (const std::string& config : options.configs) passed = qasr::testing::check(config, options) && passed;
    return passed ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "qasr_fullsize_check: %s\n", error.what());
    return 1;
  }
}
