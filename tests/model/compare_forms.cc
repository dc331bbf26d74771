// qasr_compare_forms ORIGINAL FORM [RECORDING]: one model in two forms. Prints a JSON object:
//   tokens_equal   greedy tokens of both with automatic weights
//   error_f32      relative error of FORM's logits computed in f32, along ORIGINAL's tokens: what the form itself lost
//   error_auto     the same with automatic weights, against ORIGINAL in f32
// Without a recording the encoder gets the synthetic log-mel of the golden tests. bench/formats.py makes a table of it.
#include <cstdio>
#include <exception>

#include "audio/log_mel.h"
#include "backend/registry.h"
#include "golden_support.h"
#include "model/model.h"
#include "qasr/audio.h"
#include "weights/synthetic.h"

namespace qasr::testing {
namespace {

constexpr int kTokens = 12, kFrames = 250;

struct Prompt {
  LogMelSpectrogram features;
  std::vector<std::int32_t> ids;
};

LogMelSpectrogram features_of(int n_mels, const char* recording) {
  LogMelSpectrogram features{.n_mels = n_mels, .n_frames = kFrames, .values = synthetic_log_mel(n_mels, kFrames)};
  if (recording != nullptr) LogMel({.n_mels = n_mels}).compute(load_audio(recording).samples, features);
  return features;
}

// The true prompt where there is a tokenizer, else the audio alone.
std::vector<std::int32_t> prompt_ids(const CheckpointFiles& files, const ModelConfig& config, int n_audio_tokens) {
  try {
    const Tokenizer tokenizer = load_tokenizer(files, config);
    return PromptBuilder(tokenizer, config.audio_token_id, files.where()).build("", "", n_audio_tokens);
  } catch (const Error&) {
    return std::vector<std::int32_t>(static_cast<std::size_t>(n_audio_tokens), config.audio_token_id);
  }
}

// A model in one form and format, and what it says.
struct Run {
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<float>> logits;
};

Run run(const CheckpointFiles& files, WeightFormat format, const char* recording, std::vector<std::int32_t> tokens) {
  const auto backend = make_cpu_backend(0, "");
  const BareModel model(files, *backend, format);
  const LogMelSpectrogram features = features_of(model.config.audio.n_mels, recording);
  const LogMelSpectrogram* batch[] = {&features};
  EncoderWorkspace workspace;
  DeviceTensor audio;
  model.encoder.forward(batch, ShortClipPadding::kOfficial, workspace, audio);
  const std::vector<std::int32_t> ids = prompt_ids(files, model.config, static_cast<int>(audio.view().rows()));
  const DecoderPrompt prompt{ids, audio.view()};
  Run result;
  result.tokens = run_decoder(*backend, model.decoder, {&prompt, 1}, kTokens).ids[0];
  if (tokens.empty()) tokens = result.tokens;
  result.logits = forced_logits(*backend, model.decoder, prompt, tokens, DType::kF32);
  return result;
}

void compare(const char* original_path, const char* form_path, const char* recording) {
  const CheckpointFiles form = CheckpointFiles::open(form_path);
  const CheckpointFiles original = CheckpointFiles::open(original_path);
  const Run exact = run(original, WeightFormat::kF32, recording, {});
  const Run original_auto = run(original, WeightFormat::kAuto, recording, exact.tokens);
  const Run form_auto = run(form, WeightFormat::kAuto, recording, exact.tokens);
  const Run form_exact = run(form, WeightFormat::kF32, recording, exact.tokens);
  std::printf("{\"tokens_equal\": %s, \"error_f32\": %.3e, \"error_auto\": %.3e}\n",
              form_auto.tokens == original_auto.tokens ? "true" : "false",
              relative_error(form_exact.logits, exact.logits), relative_error(form_auto.logits, exact.logits));
}

}  // namespace
}  // namespace qasr::testing

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: qasr_compare_forms ORIGINAL FORM [RECORDING]\n");
    return 2;
  }
  try {
    qasr::testing::compare(argv[1], argv[2], argc == 4 ? argv[3] : nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "qasr_compare_forms: %s\n", error.what());
    return 1;
  }
  return 0;
}
