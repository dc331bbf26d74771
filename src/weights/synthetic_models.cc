// See synthetic_models.h.
#include "weights/synthetic_models.h"

#include <algorithm>
#include <array>

#include "qasr/error.h"

namespace qasr {
namespace {

constexpr std::string_view kMiniature = "miniature", kSpikySuffix = "-spiky";
constexpr int kOfficialAudioToken = 151676, kOfficialTimestampToken = 151705;

struct Sizes {
  std::string_view name;
  int n_mels, conv_channels, d_model, audio_heads, audio_layers, audio_d_ff, hidden, n_window, n_window_infer;
  int n_heads, n_kv_heads, head_dim, n_layers, d_ff, vocab;
  int audio_token_id;
  std::array<int, 2> eos;  // -1: none
  int n_classes;           // 0: not a forced aligner
};

// Tiny sizes avoid multiples of 8 and powers of two; each row differs from the others in every ratio that matters
// (heads to KV heads, head_dim to hidden, window to chunk). tiny_e's matrices have depths of a multiple of 32 plus one
// (225, 353; plus two where a depth must be even), which block formats must pad. Ids of tiny models are those of the
// demonstration model's vocabulary.
// clang-format off
constexpr std::array kModels = {
    // name                       mels ch   d_model heads layers ffn hidden n_window infer | heads kv dim layers d_ff vocab | audio eos classes
    Sizes{"tiny_a",                128, 12,   48,  3,  2,   80,   40, 50, 800,  4, 2,  16,  3,   72,   1543,   1533, {1528, 1530}, 0},
    Sizes{"tiny_b",                128,  7,   66,  3,  3,  130,   52, 50, 800,  6, 2,  10,  2,   90,   1601,   1533, {1528, 1530}, 0},
    Sizes{"tiny_c",                 80, 20,   56,  7,  1,   33,   24, 50, 400,  3, 1,  32,  2,   47,   1537,   1533, {1528, 1530}, 0},
    Sizes{"tiny_d",                128,  9,  100,  5,  2,  144,  104, 25, 400,  5, 5,   8,  4,  200,   2000,   1533, {1528, 1530}, 0},
    Sizes{"tiny_e",                 80, 25,  226,  2,  2,  353,  225, 50, 800,  6, 3,  22,  3,  353,   1567,   1533, {1528, 1530}, 0},
    // tiny_q's depths are whole groups of every quantised format but those of 256; its tokenizer: tests/data/formats.
    Sizes{"tiny_q",                128,  8,   32,  1,  1,   64,   64, 50, 800,  2, 1,  32,  1,   64,    288,    277, {272, 274}, 0},
    Sizes{kMiniature,              128,  8,  128,  2,  2,  192,   96, 50, 800,  4, 2,  32,  2,  160,     64,     63, {62, -1}, 0},
    Sizes{"qwen3-asr-0.6b",        128, 480, 896, 14, 18, 3584, 1024, 50, 800, 16, 8, 128, 28, 3072, 151936, 151676, {151643, 151645}, 0},
    Sizes{"qwen3-asr-1.7b",        128, 480, 1024, 16, 24, 4096, 2048, 50, 800, 16, 8, 128, 28, 6144, 151936, 151676, {151643, 151645}, 0},
    Sizes{"qwen3-forced-aligner-0.6b", 128, 480, 1024, 16, 24, 4096, 1024, 50, 800, 16, 8, 128, 28, 3072, 152064, 151676, {151643, 151645}, 5000},
    Sizes{"tiny_aligner_a",        128, 12,   48,  3,  2,   80,   40, 50, 800,  4, 2,  16,  3,   72,   1543,   1533, {1528, 1530}, 61},
    Sizes{"tiny_aligner_b",         80, 20,   56,  7,  1,   33,   24, 50, 400,  3, 1,  32,  2,   47,   1537,   1533, {1528, 1530}, 375},
    Sizes{"tiny_aligner_c",        128, 25,  226,  2,  2,  353,  225, 50, 800,  6, 3,  22,  3,  353,   1567,   1533, {1528, 1530}, 130},
};
// clang-format on

ModelConfig config_of(const Sizes& sizes) {
  ModelConfig config;
  config.audio = {.n_mels = sizes.n_mels,
                  .n_layers = sizes.audio_layers,
                  .n_heads = sizes.audio_heads,
                  .d_ff = sizes.audio_d_ff,
                  .d_model = sizes.d_model,
                  .output_dim = sizes.hidden,
                  .conv_channels = sizes.conv_channels,
                  .n_window = sizes.n_window,
                  .n_window_infer = sizes.n_window_infer};
  config.text = {.vocab = sizes.vocab,
                 .hidden = sizes.hidden,
                 .d_ff = sizes.d_ff,
                 .n_layers = sizes.n_layers,
                 .n_heads = sizes.n_heads,
                 .n_kv_heads = sizes.n_kv_heads,
                 .head_dim = sizes.head_dim,
                 .rms_norm_eps = 1e-6F,
                 .rope_theta = 1e6,
                 .max_positions = 65536,
                 .tied_head = sizes.n_classes == 0};
  config.audio_token_id = sizes.audio_token_id;
  std::copy_if(sizes.eos.begin(), sizes.eos.end(), std::back_inserter(config.eos_token_ids),
               [](int id) { return id >= 0; });
  config.is_forced_aligner = sizes.n_classes > 0;
  config.n_classes = sizes.n_classes;
  if (config.is_forced_aligner && sizes.audio_token_id == kOfficialAudioToken) {
    config.timestamp_token_id = kOfficialTimestampToken;
  }
  return config;
}

}  // namespace

std::vector<std::string> synthetic_model_names() {
  std::vector<std::string> names;
  for (const Sizes& sizes : kModels) names.emplace_back(sizes.name);
  for (const Sizes& sizes : kModels) {
    if (sizes.name != kMiniature) names.push_back(std::string(sizes.name).append(kSpikySuffix));
  }
  return names;
}

SyntheticModel synthetic_model(std::string_view name) {
  const std::vector<std::string> known = synthetic_model_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    std::string list;
    for (const std::string& model : known) list.append(list.empty() ? "" : ", ").append(model);
    throw Error(ErrorCode::kInvalidArgument,
                "no synthetic model is called \"" + std::string(name) + "\", expected one of " + list);
  }
  const bool is_spiky = name.ends_with(kSpikySuffix);
  const std::string_view sizes_name = name.substr(0, name.size() - (is_spiky ? kSpikySuffix.size() : 0));
  const auto sizes =
      std::find_if(kModels.begin(), kModels.end(), [&](const Sizes& model) { return model.name == sizes_name; });
  const SyntheticRule rule = is_spiky ? SyntheticRule::kSpiky : SyntheticRule::kHash;
  return {.name = std::string(name),
          .config = config_of(*sizes),
          .rule = name == kMiniature ? SyntheticRule::kMiniature : rule};
}

}  // namespace qasr
