// `qasr quantize`: a smaller checkpoint from any readable one, and what it lost.
#include "quantize.h"

#include <cstdio>

#include "model_cache.h"
#include "output.h"
#include "qasr/quantize.h"

namespace qasr::app {
namespace {

constexpr const char* kQuantizeExamples =
    "Examples:\n"
    "  qasr quantize Qwen3-ASR-1.7B Qwen3-ASR-1.7B-8bit\n"
    "  qasr quantize --bits 4 Qwen3-ASR-0.6B Qwen3-ASR-0.6B-4bit\n"
    "  qasr quantize --bits 4 --encoder-bits 16 text.gguf mlx-model     as published MLX checkpoints are\n";

std::string report_text(const QuantizeReport& report) {
  std::string text;
  char line[160];
  std::snprintf(line, sizeof line, "%-24s %-22s %8s %12s %14s\n", "tensors", "stored as", "number", "MB",
                "relative error");
  text += line;
  for (const QuantizedClass& entry : report.classes) {
    std::snprintf(line, sizeof line, "%-24s %-22s %8d %12.2f %14.2e\n", entry.name.c_str(), entry.stored.c_str(),
                  entry.n_tensors, static_cast<double>(entry.bytes) / 1e6, entry.relative_error);
    text += line;
  }
  std::snprintf(line, sizeof line, "weights: %.2f MB from %.2f MB\n", static_cast<double>(report.bytes) / 1e6,
                static_cast<double>(report.source_bytes) / 1e6);
  return text + line;
}

}  // namespace

CLI::App* add_quantize(CLI::App& app, QuantizeArguments& arguments) {
  CLI::App* command = app.add_subcommand("quantize", "Write a smaller checkpoint, in MLX's layout");
  command->add_option("model", arguments.model, "Any checkpoint that qasr reads: a directory or a file")
      ->required()
      ->type_name("MODEL");
  command->add_option("directory", arguments.directory, "Where to write; must not exist, or be empty")
      ->required()
      ->type_name("DIR");
  command->add_option("--bits", arguments.bits, "Of the decoder's layers: 8, or 4; embedding and head have 8")
      ->capture_default_str()
      ->check(CLI::IsMember({4, 8}))
      ->type_name("N");
  command->add_option("--encoder-bits", arguments.encoder_bits, "Of the audio encoder: 8, or 16 (bf16)")
      ->capture_default_str()
      ->check(CLI::IsMember({8, 16}))
      ->type_name("N");
  command->add_option("--group-size", arguments.group_size, "Weights that share a scale: 32, 64 or 128")
      ->capture_default_str()
      ->check(CLI::IsMember({32, 64, 128}))
      ->type_name("N");
  command->add_option("-t,--threads", arguments.n_threads, "Threads; 0 is one per physical core")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  command->add_flag("-q,--quiet", arguments.quiet, "No progress on standard error");
  command->footer(kQuantizeExamples);
  return command;
}

ExitCode run_quantize(const QuantizeArguments& arguments) {
  QuantizeOptions options{.decoder_bits = arguments.bits,
                          .encoder_bits = arguments.encoder_bits,
                          .group_size = arguments.group_size,
                          .n_threads = arguments.n_threads};
  if (!arguments.quiet) options.log = [](std::string_view line) { print_error(line); };
  print(report_text(quantize_checkpoint(resolve_model(arguments.model), arguments.directory, options)));
  return kExitOk;
}

}  // namespace qasr::app
