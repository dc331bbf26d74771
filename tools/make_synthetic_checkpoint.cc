// make_synthetic_checkpoint: writes a checkpoint directory whose weights follow docs/synthetic-checkpoints.md.
//
//   make_synthetic_checkpoint --config qwen3-asr-0.6b --out /tmp/synthetic-0.6b
//
// Exit codes: 0 written, 1 failed (the reason on stderr), 2 usage.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <string>

#include "weights/expected_tensors.h"
#include "weights/synthetic_checkpoint.h"

namespace {

const std::map<std::string, qasr::DType> kDtypes = {
    {"bf16", qasr::DType::kBf16}, {"f16", qasr::DType::kF16}, {"f32", qasr::DType::kF32}};

struct Arguments {
  std::string config = "tiny_a", layout = "official", dtype = "bf16";
  std::filesystem::path out;
  qasr::SyntheticOptions options;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("--config", arguments.config, "Which model")
      ->capture_default_str()
      ->check(CLI::IsMember(qasr::synthetic_model_names()));
  app.add_option("--out", arguments.out, "Directory to write; made if missing")->required();
  app.add_option("--dtype", arguments.dtype, "Element type")->capture_default_str()->check(CLI::IsMember(kDtypes));
  app.add_option("--layout", arguments.layout, "Names of keys and tensors")
      ->capture_default_str()
      ->check(CLI::IsMember({"official", "transformers"}));
  app.add_option("--shards", arguments.options.n_shards, "Number of safetensors files")->capture_default_str();
  app.add_option("--seed", arguments.options.seed, "Seed of every tensor")->capture_default_str();
  app.add_option("--threads", arguments.options.n_threads, "Threads; 0: all")->capture_default_str();
  app.add_option("--tokenizer", arguments.options.tokenizer_dir, "Directory whose tokenizer files are copied");
}

void run(Arguments& arguments) {
  const qasr::SyntheticModel model = qasr::synthetic_model(arguments.config);
  arguments.options.dtype = kDtypes.at(arguments.dtype);
  if (arguments.layout == "transformers") {
    arguments.options.config_layout = qasr::CheckpointLayout::kTransformers;
    arguments.options.names = qasr::NameLayout::kTransformers;
  }
  const auto start = std::chrono::steady_clock::now();
  qasr::write_synthetic_checkpoint(arguments.out, model, arguments.options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%s: %llu parameters, %s, seed %u, %.2f s\n", arguments.out.c_str(),
              static_cast<unsigned long long>(qasr::count_parameters(model.config).total()), arguments.dtype.c_str(),
              static_cast<unsigned>(arguments.options.seed), seconds.count());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a synthetic checkpoint: true shapes, weights that are a function of name, index and seed.");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_synthetic_checkpoint: %s\n", error.what());
    return 1;
  }
  return 0;
}
