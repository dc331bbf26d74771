// `qasr info`: what a checkpoint is made of and what it needs, without running it.
#include "info.h"

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "demo_model.h"
#include "output.h"
#include "qasr/engine.h"

namespace qasr::app {
namespace {

constexpr double kAudioTokensPerSecond = 13;  // the encoder's rate: 13 tokens for each second of audio

constexpr const char* kExamples =
    "Examples:\n"
    "  qasr info Qwen3-ASR-0.6B\n"
    "  qasr info --json\n";

ModelInfo read_info(const InfoArguments& arguments) {
  if (!arguments.model_dir.empty()) return describe_model(arguments.model_dir);
  EngineOptions options;
  options.backend = BackendKind::kReference;  // nothing is computed
  return Engine::open(demo_model_files(), kDemoModelName, options)->info();
}

double kv_cache_bytes_per_minute(const ModelInfo& info) {
  return static_cast<double>(info.kv_cache_bytes_per_token) * kAudioTokensPerSecond * 60;
}

std::string bytes_text(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", bytes, units[unit]);
  return text;
}

/// 782426112 -> "782,426,112"
std::string count_text(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, 1, ',');
  return digits;
}

std::string list_text(const std::vector<int>& values) {
  std::string text;
  for (const int value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

std::string row(const std::string& name, const std::string& value) {
  return name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ') + value + "\n";
}

std::string table(const ModelInfo& info) {
  using std::to_string;
  const double n_parameters = static_cast<double>(info.n_parameters);
  std::string text = row("checkpoint", info.path + (info.is_demo ? " (demonstration: synthetic voices only)" : ""));
  text += row("layout", info.layout + ", " + to_string(info.n_tensors) + " tensors in " + to_string(info.n_shards) +
                            (info.n_shards == 1 ? " file, " : " files, ") +
                            bytes_text(static_cast<double>(info.file_bytes)));
  text += row("stored as", info.dtype);
  text += row("parameters", count_text(info.n_parameters));
  text += row("  encoder", count_text(info.n_encoder_parameters));
  text += row("  decoder", count_text(info.n_decoder_parameters));
  text += row("  embedding", count_text(info.n_embedding_parameters) + (info.tied_head ? " (also the head)" : ""));
  text += row("encoder", to_string(info.encoder_layers) + " layers, width " + to_string(info.d_model) + ", " +
                             to_string(info.encoder_heads) + " heads, feed-forward " + to_string(info.encoder_d_ff));
  text += row("  input", to_string(info.n_mels) + " mel bins, " + to_string(info.conv_channels) + " channels");
  text +=
      row("decoder", to_string(info.decoder_layers) + " layers, width " + to_string(info.hidden) + ", " +
                         to_string(info.n_heads) + " query and " + to_string(info.n_kv_heads) + " key/value heads of " +
                         to_string(info.head_dim) + ", feed-forward " + to_string(info.d_ff));
  text += row("vocabulary", to_string(info.vocab) + " tokens, end tokens " + list_text(info.eos_token_ids));
  text += row("positions", to_string(info.max_positions));
  if (info.recommended_max_segment_s > 0) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g s", info.recommended_max_segment_s);
    text += row("longest segment", seconds);
  }
  text +=
      row("weights in memory", bytes_text(2 * n_parameters) + " as bf16, " + bytes_text(4 * n_parameters) + " as f32");
  text +=
      row("KV cache", bytes_text(static_cast<double>(info.kv_cache_bytes_per_token)) + " per token, " +
                          bytes_text(kv_cache_bytes_per_minute(info)) + " per minute of audio as bf16, twice as f32");
  return text;
}

std::string json_text(const ModelInfo& info) {
  const nlohmann::ordered_json document = {{"path", info.path},
                                           {"demo", info.is_demo},
                                           {"layout", info.layout},
                                           {"dtype", info.dtype},
                                           {"tensors", info.n_tensors},
                                           {"files", info.n_shards},
                                           {"file_bytes", info.file_bytes},
                                           {"parameters",
                                            {{"total", info.n_parameters},
                                             {"encoder", info.n_encoder_parameters},
                                             {"decoder", info.n_decoder_parameters},
                                             {"embedding", info.n_embedding_parameters}}},
                                           {"encoder",
                                            {{"layers", info.encoder_layers},
                                             {"d_model", info.d_model},
                                             {"heads", info.encoder_heads},
                                             {"d_ff", info.encoder_d_ff},
                                             {"mel_bins", info.n_mels},
                                             {"conv_channels", info.conv_channels}}},
                                           {"decoder",
                                            {{"layers", info.decoder_layers},
                                             {"hidden", info.hidden},
                                             {"heads", info.n_heads},
                                             {"kv_heads", info.n_kv_heads},
                                             {"head_dim", info.head_dim},
                                             {"d_ff", info.d_ff},
                                             {"tied_head", info.tied_head}}},
                                           {"vocab", info.vocab},
                                           {"eos_token_ids", info.eos_token_ids},
                                           {"max_positions", info.max_positions},
                                           {"recommended_max_segment_s", info.recommended_max_segment_s},
                                           {"memory",
                                            {{"weights_bf16_bytes", 2 * info.n_parameters},
                                             {"weights_f32_bytes", 4 * info.n_parameters},
                                             {"kv_cache_bf16_bytes_per_token", info.kv_cache_bytes_per_token},
                                             {"kv_cache_bf16_bytes_per_minute", kv_cache_bytes_per_minute(info)}}}};
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

CLI::App* add_info(CLI::App& app, InfoArguments& arguments) {
  CLI::App* command = app.add_subcommand("info", "Describe a checkpoint: sizes, parameters, memory");
  command->add_option("model", arguments.model_dir, "Checkpoint directory; default: the demonstration model")
      ->type_name("DIR");
  command->add_flag("--json", arguments.json, "Print JSON");
  command->footer(kExamples);
  return command;
}

ExitCode run_info(const InfoArguments& arguments) {
  const ModelInfo info = read_info(arguments);
  print(arguments.json ? json_text(info) : table(info));
  return kExitOk;
}

}  // namespace qasr::app
