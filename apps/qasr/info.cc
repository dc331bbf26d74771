// `qasr info`: what a checkpoint is made of and what it needs, without running it.
#include "info.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "demo_model.h"
#include "format_names.h"
#include "model_cache.h"
#include "output.h"
#include "qasr/engine.h"
#include "qasr/languages.h"

namespace qasr::app {
namespace {

constexpr double kAudioTokensPerSecond = 13;  // the encoder's rate: 13 tokens for each second of audio

constexpr const char* kInfoExamples =
    "Examples:\n"
    "  qasr info Qwen3-ASR-0.6B\n"
    "  qasr info --tensors model.gguf\n"
    "  qasr info --json\n";

ModelInfo read_info(const InfoArguments& arguments) {
  if (!arguments.model_dir.empty()) return describe_model(resolve_model(arguments.model_dir));
  return describe_model(demo_model_files(), kDemoModelName);
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

std::string plural(int n, const char* one) { return std::to_string(n) + " " + one + (n == 1 ? "" : "s"); }

std::string stored_rows(const ModelInfo& info) {
  std::string text;
  for (const StoredType& type : info.types) {
    const std::string held = type.held.empty() ? "" : ", in memory " + type.held;
    text += row(text.empty() ? "stored as" : "", type.name + ": " + plural(type.n_tensors, "tensor") + ", " +
                                                     count_text(type.n_parameters) + " parameters, " +
                                                     bytes_text(static_cast<double>(type.bytes)) + held);
  }
  return text;
}

std::string memory_rows(const ModelInfo& info) {
  std::string text = "about ";
  for (const FormatMemory& memory : info.memory) {
    text += (text.size() > 6 ? ", " : "") + bytes_text(static_cast<double>(memory.bytes)) + " " +
            format_name(kWeightFormats, memory.format);
  }
  return row("weights in memory", text + " (--weights)");
}

std::string language_text(const ModelInfo& info) {
  if (info.languages.empty()) return "the " + std::to_string(languages().size()) + " of Qwen3-ASR (no list of its own)";
  std::string text = std::to_string(info.languages.size()) + ":";
  for (const std::string& language : info.languages) text += " " + language;
  return text;
}

std::string tensor_rows(const ModelInfo& info) {
  std::string text;
  for (const TensorInfo& tensor : info.tensors) {
    std::string shape;
    for (const std::int64_t dim : tensor.shape) shape += (shape.empty() ? "[" : ", ") + std::to_string(dim);
    std::string line = tensor.name;
    line.resize(std::max<std::size_t>(line.size() + 1, 56), ' ');
    line += shape + "]";
    line.resize(std::max<std::size_t>(line.size() + 1, 78), ' ');
    text += line + tensor.stored + ", " + bytes_text(static_cast<double>(tensor.bytes)) + "\n";
  }
  return text;
}

std::string table(const ModelInfo& info) {
  using std::to_string;
  std::string text = row("checkpoint", info.path + (info.is_demo ? " (demonstration: synthetic voices only)" : ""));
  if (info.is_forced_aligner) text += row("kind", "forced aligner: time stamps of a known text");
  text += row("layout", info.container + ", " + info.layout + " names, " + to_string(info.n_tensors) + " tensors in " +
                            to_string(info.n_shards) + (info.n_shards == 1 ? " file, " : " files, ") +
                            bytes_text(static_cast<double>(info.file_bytes)));
  text += stored_rows(info);
  text += row("parameters", count_text(info.n_parameters));
  text += row("  encoder", count_text(info.n_encoder_parameters));
  text += row("  decoder", count_text(info.n_decoder_parameters));
  text += row("  embedding", count_text(info.n_embedding_parameters) + (info.tied_head ? " (also the head)" : ""));
  if (info.n_head_parameters > 0) text += row("  head", count_text(info.n_head_parameters));
  text += row("encoder", to_string(info.encoder_layers) + " layers, width " + to_string(info.d_model) + ", " +
                             to_string(info.encoder_heads) + " heads, feed-forward " + to_string(info.encoder_d_ff));
  text += row("  input", to_string(info.n_mels) + " mel bins, " + to_string(info.conv_channels) + " channels");
  text +=
      row("decoder", to_string(info.decoder_layers) + " layers, width " + to_string(info.hidden) + ", " +
                         to_string(info.n_heads) + " query and " + to_string(info.n_kv_heads) + " key/value heads of " +
                         to_string(info.head_dim) + ", feed-forward " + to_string(info.d_ff));
  text += row("vocabulary", to_string(info.vocab) + " tokens, end tokens " + list_text(info.eos_token_ids));
  text += row("tokenizer", info.tokenizer);
  text += row("languages", language_text(info));
  text += row("positions", to_string(info.max_positions));
  if (info.recommended_max_segment_s > 0) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g s", info.recommended_max_segment_s);
    text += row("longest segment", seconds);
  }
  text += memory_rows(info);
  text +=
      row("KV cache", bytes_text(static_cast<double>(info.kv_cache_bytes_per_token)) + " per token, " +
                          bytes_text(kv_cache_bytes_per_minute(info)) + " per minute of audio as bf16, twice as f32");
  return text;
}

using Json = nlohmann::ordered_json;

Json types_json(const ModelInfo& info) {
  Json types = Json::array();
  for (const StoredType& type : info.types) {
    types.push_back({{"type", type.name},
                     {"tensors", type.n_tensors},
                     {"parameters", type.n_parameters},
                     {"bytes", type.bytes},
                     {"in_memory", type.held}});
  }
  return types;
}

Json weights_json(const ModelInfo& info) {
  Json memory = Json::object();
  for (const FormatMemory& format : info.memory) memory[format_name(kWeightFormats, format.format)] = format.bytes;
  return memory;
}

Json tensors_json(const ModelInfo& info) {
  Json tensors = Json::array();
  for (const TensorInfo& tensor : info.tensors) {
    tensors.push_back(
        {{"name", tensor.name}, {"shape", tensor.shape}, {"type", tensor.stored}, {"bytes", tensor.bytes}});
  }
  return tensors;
}

std::string json_text(const ModelInfo& info, bool with_tensors) {
  Json document = {{"path", info.path},
                   {"demo", info.is_demo},
                   {"container", info.container},
                   {"layout", info.layout},
                   {"forced_aligner", info.is_forced_aligner},
                   {"types", types_json(info)},
                   {"tokenizer", info.tokenizer},
                   {"languages", info.languages},
                   {"dtype", info.dtype},
                   {"tensors", info.n_tensors},
                   {"files", info.n_shards},
                   {"file_bytes", info.file_bytes},
                   {"parameters",
                    {{"total", info.n_parameters},
                     {"encoder", info.n_encoder_parameters},
                     {"decoder", info.n_decoder_parameters},
                     {"embedding", info.n_embedding_parameters},
                     {"head", info.n_head_parameters}}},
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
                    {{"weights_bytes", weights_json(info)},
                     {"weights_bf16_bytes", 2 * info.n_parameters},
                     {"weights_f32_bytes", 4 * info.n_parameters},
                     {"kv_cache_bf16_bytes_per_token", info.kv_cache_bytes_per_token},
                     {"kv_cache_bf16_bytes_per_minute", kv_cache_bytes_per_minute(info)}}}};
  if (with_tensors) document["tensor_list"] = tensors_json(info);
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

CLI::App* add_info(CLI::App& app, InfoArguments& arguments) {
  CLI::App* command = app.add_subcommand("info", "Describe a checkpoint: sizes, parameters, memory");
  command
      ->add_option("model", arguments.model_dir,
                   "Directory, safetensors or GGUF file; default: the demonstration model")
      ->type_name("MODEL");
  command->add_flag("--tensors", arguments.tensors, "List every tensor: name, shape, type, size");
  command->add_flag("--json", arguments.json, "Print JSON");
  command->footer(kInfoExamples);
  return command;
}

ExitCode run_info(const InfoArguments& arguments) {
  const ModelInfo info = read_info(arguments);
  print(arguments.json ? json_text(info, arguments.tensors)
                       : table(info) + (arguments.tensors ? tensor_rows(info) : ""));
  return kExitOk;
}

}  // namespace qasr::app
