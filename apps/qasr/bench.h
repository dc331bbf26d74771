// `qasr bench`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "exit_code.h"

namespace qasr::app {

struct BenchArguments {
  std::string model_dir;  ///< empty: a synthetic checkpoint
  std::string synthetic = "0.6b";
  std::string cache_dir;  ///< empty: the user's
  std::string weights = "auto", kv_cache = "auto";
  double audio_s = 30;
  int n_tokens = 120, n_segments = 1, n_runs = 5, n_threads = 0;
  std::vector<int> concurrency;  ///< empty: stages one by one, without the engine around them
  std::string device = "cpu";
  double segment_s = 30;
  int max_batch = 0;  ///< 0: all that is under way, up to 512
  bool packed = false;
  bool json = false, quiet = false;
};

CLI::App* add_bench(CLI::App& app, BenchArguments& arguments);

/// @throws Error, OutputError
ExitCode run_bench(const BenchArguments& arguments);

}  // namespace qasr::app
