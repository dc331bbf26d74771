// Checks a synthetic checkpoint of a published model's true size against tests/golden/fullsize (transformers, f32).
//
//   qasr_fullsize_check [--weights f32|bf16] [--isa ISA] CONFIG...        CONFIG: qwen3-asr-0.6b, qwen3-asr-0.6b-spiky, qwen3-asr-1.7b
//
// f32: relative error of encoder output and logits at most 1e-3 and the same 32 greedy tokens. bf16: at most 2e-2; the
// reference's tokens are fed, because rounding may flip a close call. Exit code 1 if anything is off.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "audio/log_mel.h"
#include "backend/registry.h"
#include "golden_support.h"
#include "support/test_signals.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

struct Options {
  WeightFormat weights = WeightFormat::kF32;
  std::string isa;
  std::vector<std::string> configs;
  double tolerance() const { return weights == WeightFormat::kF32 ? 1e-3 : 2e-2; }
};

class Report {
 public:
  void error(const char* what, double found, double limit) {
    const bool is_good = found <= limit;  // false for NaN
    std::printf("  %-28s %.2e  limit %.0e  %s\n", what, found, limit, is_good ? "ok" : "FAILED");
    passed_ = passed_ && is_good;
  }
  void count(const char* what, std::size_t found, std::size_t expected) {
    std::printf("  %-28s %zu of %zu  %s\n", what, found, expected, found == expected ? "ok" : "FAILED");
    passed_ = passed_ && found == expected;
  }
  bool passed() const { return passed_; }

 private:
  bool passed_ = true;
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

// Decodes along the reference's tokens: where the engine chooses another one, the rest can still be compared.
std::size_t follow_reference(Backend& backend, const BareModel& model, const GoldenArrays& golden,
                             ConstTensorView audio, double tolerance, Report& report) {
  const std::vector<std::int32_t> prompt = golden.ints("prompt_ids"), expected = golden.ints("generated_ids");
  KvPool pool(backend, model.config.text, static_cast<std::int64_t>(prompt.size() + expected.size()), DType::kF32);
  KvSequence sequence(pool);
  KvSequence* running[] = {&sequence};
  const PrefillInput input{.sequence = &sequence, .ids = prompt, .audio = audio};
  DecoderWorkspace workspace;
  std::int32_t next = 0;
  model.decoder.prefill(std::span(&input, 1), workspace, std::span(&next, 1));
  report.error("prefill logits", logits_error(golden, "prefill", download(backend, workspace.logits.view())),
               tolerance);
  std::size_t n_equal = 0;
  for (std::size_t step = 0; step < expected.size(); ++step) {
    n_equal += next == expected[step] ? 1 : 0;
    if (step + 1 == expected.size()) break;
    model.decoder.decode_step(running, std::span(&expected[step], 1), workspace, std::span(&next, 1));
  }
  report.error("logits of the last step", logits_error(golden, "last", download(backend, workspace.logits.view())),
               tolerance);
  return n_equal;
}

bool check(const std::string& name, const Options& options) {
  const auto started = std::chrono::steady_clock::now();
  const nlohmann::json record = read_json(source_path("tests/golden/fullsize/" + name + ".json"));
  const GoldenArrays golden(source_path("tests/golden/fullsize/" + record.at("file").get<std::string>()));
  const std::unique_ptr<Backend> backend = make_cpu_backend(0, options.isa);
  std::printf("%s, %s, %s weights\n", name.c_str(), backend->description().c_str(),
              options.weights == WeightFormat::kF32 ? "f32" : "bf16");

  const CheckpointFiles files =
      synthetic_checkpoint(synthetic_model(name), {.seed = record.at("seed").get<std::uint32_t>()});
  const BareModel model(files, *backend, options.weights);
  LogMelSpectrogram features;
  LogMel({.n_mels = model.config.audio.n_mels})
      .compute(tones_signal(record.at("n_samples").get<std::size_t>()), features);
  const LogMelSpectrogram* batch[] = {&features};
  EncoderWorkspace workspace;
  DeviceTensor audio;
  model.encoder.forward(batch, ShortClipPadding::kOfficial, workspace, audio);

  Report report;
  const std::vector<float> output = download(*backend, audio.view());
  report.error("encoder output",
               relative_error(pick_rows(output, audio.view().cols(), golden.ints("encoder.rows")),
                              golden.floats("encoder.output")),
               options.tolerance());
  const std::size_t n_tokens = golden.ints("generated_ids").size();
  const std::size_t n_equal = follow_reference(*backend, model, golden, audio.view(), options.tolerance(), report);
  if (options.weights == WeightFormat::kF32) {
    report.count("greedy tokens", n_equal, n_tokens);
  } else {
    std::printf("  %-28s %zu of %zu\n", "greedy tokens", n_equal, n_tokens);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
  std::printf("  %.0f s\n", elapsed.count());
  return report.passed();
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--weights" && has_value) {
      const std::string format = argv[++i];
      if (format != "f32" && format != "bf16") throw std::runtime_error("--weights is f32 or bf16, not " + format);
      options.weights = format == "f32" ? WeightFormat::kF32 : WeightFormat::kBf16;
    } else if (argument == "--isa" && has_value) {
      options.isa = argv[++i];
    } else {
      options.configs.push_back(argument);
    }
  }
  if (options.configs.empty()) throw std::runtime_error("no configuration named: qwen3-asr-0.6b, qwen3-asr-1.7b");
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
