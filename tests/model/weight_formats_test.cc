// What rounded weights cost: logits of every weight format against f32 on the same backend, along the reference's
// tokens. The tiny synthetic models, one of them with outlier channels and depths that blocks must pad, and a recording
// on the demonstration model. The true sizes: fullsize_check.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "audio/log_mel.h"
#include "golden_support.h"
#include "measured.h"
#include "qasr/audio.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

constexpr const char* kDemoRecording = "meeting_rms.wav";

struct Format {
  const char* name;
  WeightFormat weights;
  double tiny_limit, spiky_limit, demo_limit;
};

// Relative errors of the logits, encoder included, with a bf16 KV cache; about 1.5 times what was measured
// (docs/fidelity.md). Weights of the checkpoints are bf16, so that bf16 rounds nothing but keys and values. Synthetic
// weights amplify rounding more than trained ones do.
constexpr Format kFormats[] = {
    {"bf16", WeightFormat::kBf16, 1e-2, 6e-2, 4e-3},
    {"q8", WeightFormat::kQ8, 8e-2, 3.5e-1, 4e-2},
    {"q4", WeightFormat::kQ4, 6e-1, 9e-1, 2.5e-1},
    {"q4g32", WeightFormat::kQ4G32, 6e-1, 9e-1, 2.5e-1},
};

// A checkpoint, the encoder's input and what the decoder is fed.
struct Subject {
  CheckpointFiles files;
  LogMelSpectrogram features;
  std::vector<std::int32_t> prompt_ids, tokens;
};

Subject tiny_subject(const std::string& name) {
  const nlohmann::json golden = read_json(source_path("tests/golden/model_tiny/golden.json"));
  const nlohmann::json& entry = golden.at("models").at(name);
  const GoldenArrays arrays(source_path("tests/golden/model_tiny/" + entry.at("file").get<std::string>()));
  const SyntheticModel model = synthetic_model(name);
  const int n_mels = model.config.audio.n_mels, n_frames = golden.at("decoder_frames").get<int>();
  return {.files = synthetic_checkpoint(model, {.seed = entry.at("seed").get<std::uint32_t>()}),
          .features = {.n_mels = n_mels, .n_frames = n_frames, .values = synthetic_log_mel(n_mels, n_frames)},
          .prompt_ids = arrays.ints("decoder.prompt_ids"),
          .tokens = arrays.ints("decoder.generated_ids")};
}

Subject demo_subject() {
  const nlohmann::json golden = read_json(source_path("tests/golden/demo/golden.json"));
  const auto recording = std::find_if(golden.at("cases").begin(), golden.at("cases").end(), [](const auto& candidate) {
    return candidate.at("file") == kDemoRecording && candidate.at("context") == "";
  });
  Subject subject{.files = CheckpointFiles::open_directory(source_path("models/demo-en")),
                  .features = {},
                  .prompt_ids = recording->at("prompt_ids").get<std::vector<std::int32_t>>(),
                  .tokens = recording->at("output_ids").get<std::vector<std::int32_t>>()};
  LogMel({.n_mels = parse_model_config(subject.files).audio.n_mels})
      .compute(load_audio(source_path(std::string("models/demo-en/samples/") + kDemoRecording)).samples,
               subject.features);
  return subject;
}

std::vector<std::vector<float>> logits_of(Backend& backend, const Subject& subject, WeightFormat weights, DType kv) {
  const BareModel model(subject.files, backend, weights);
  const LogMelSpectrogram* batch[] = {&subject.features};
  EncoderWorkspace workspace;
  DeviceTensor audio;
  model.encoder.forward(batch, ShortClipPadding::kOfficial, workspace, audio);
  return forced_logits(backend, model.decoder, {subject.prompt_ids, audio.view()}, subject.tokens, kv);
}

class WeightFormats : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(WeightFormats, LogitsAgainstF32) {
  const auto& [name, backend_name] = GetParam();
  const std::unique_ptr<Backend> backend = make_backend_by_name(backend_name);
  if (backend == nullptr) GTEST_SKIP() << "this machine lacks " << backend_name;
  if (name == "demo" && backend_name == "reference") GTEST_SKIP() << "takes long, and adds nothing to the tiny models";
  const Subject subject = name == "demo" ? demo_subject() : tiny_subject(name);
  const std::vector<std::vector<float>> exact = logits_of(*backend, subject, WeightFormat::kF32, DType::kF32);
  for (const Format& format : kFormats) {
    const double tiny_limit = name.ends_with("-spiky") ? format.spiky_limit : format.tiny_limit;
    const double limit = name == "demo" ? format.demo_limit : tiny_limit;
    const std::vector<std::vector<float>> found = logits_of(*backend, subject, format.weights, DType::kBf16);
    expect_within(std::string(format.name) + " logits, " + name, relative_error(found, exact), limit, backend_name);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, WeightFormats,
    ::testing::Combine(::testing::Values("tiny_a", "tiny_b", "tiny_c", "tiny_d", "tiny_e-spiky", "demo"),
                       ::testing::ValuesIn(backend_names())),
    [](const auto& test) { return test_name(std::get<0>(test.param) + "_" + std::get<1>(test.param)); });

// ---- the same model in other forms (tests/data/formats, tools/make_format_fixtures.py)
// -----------------------------------

struct Form {
  const char* name;
  double limit;  // of the logits' relative error against the original in f32; about 1.5 times what was measured
};
constexpr Form kForms[] = {{"transformers", 0},         {"mlx4", 0.25},      {"mlx_mixed", 0.3},
                           {"llama_q8_0", 0.03},        {"crisp.gguf", 0.3}, {"qwen3-asr-cpp.gguf", 0.17},
                           {"transcribe-cpp.gguf", 0.3}};

Subject tiny_q_subject(CheckpointFiles files) {
  return {.files = std::move(files),
          .features = {.n_mels = 128, .n_frames = 250, .values = synthetic_log_mel(128, 250)},
          .prompt_ids = std::vector<std::int32_t>(33, 277),  // 33 audio tokens of 250 frames
          .tokens = {65, 66, 274, 100, 7, 272}};
}

TEST(StoredForms, LogitsAgainstTheOriginal) {
  const auto backend = make_backend_by_name("generic");
  const std::vector<std::vector<float>> exact = logits_of(
      *backend, tiny_q_subject(synthetic_checkpoint(synthetic_model("tiny_q"))), WeightFormat::kF32, DType::kF32);
  for (const Form& form : kForms) {
    const Subject subject = tiny_q_subject(CheckpointFiles::open(source_path("tests/data/formats") / form.name));
    const auto found = logits_of(*backend, subject, WeightFormat::kF32, DType::kF32);
    expect_within(std::string("stored as ") + form.name, relative_error(found, exact), form.limit, "generic");
  }
}

// Matrices that stay what they are: the same integers in every instruction set and in the reference backend, and
// nothing lost but activations rounded to 8 bits. The limit of the second is that of q8 above.
TEST(StoredForms, HeldIntegersLoseNothing) {
  for (const char* name : {"mlx4", "llama_q8_0"}) {
    const Subject subject = tiny_q_subject(CheckpointFiles::open(source_path("tests/data/formats") / name));
    const auto reference = make_backend_by_name("reference");
    const auto exact = logits_of(*reference, subject, WeightFormat::kF32, DType::kF32);
    for (const WeightFormat format : {WeightFormat::kAuto, WeightFormat::kStored}) {
      const auto held = logits_of(*reference, subject, format, DType::kF32);
      expect_within(std::string("held ") + name + " against f32", relative_error(held, exact), 8e-2, "reference");
      for (const std::string& backend_name : backend_names()) {
        const auto backend = make_backend_by_name(backend_name);
        if (backend == nullptr || backend_name == "reference") continue;
        // An activation that falls on the middle between two integers may round either way: 1 in 127 of one value.
        const double error = relative_error(logits_of(*backend, subject, format, DType::kF32), held);
        expect_within(std::string("held ") + name + " against reference", error, 1e-3, backend_name);
      }
    }
  }
}

}  // namespace
}  // namespace qasr::testing
