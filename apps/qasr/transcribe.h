// `qasr transcribe`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "exit_code.h"

namespace qasr::app {

struct TranscribeArguments {
  std::vector<std::string> files;  ///< "-" is standard input
  std::string model_dir;           ///< empty: the demonstration model
  std::string language = "auto";
  std::string context;
  std::string cache_dir;  ///< empty: no cache of packed weights
  std::string weights = "auto", kv_cache = "auto", backend, device = "auto";
  int n_threads = 0, max_tokens = 0;
  double max_segment_s = 0;
  bool json = false, timings = false, quiet = false, no_pad = false;
};

CLI::App* add_transcribe(CLI::App& app, TranscribeArguments& arguments);

/// Transcribes every file in order and goes on after a failure.
/// @return kExitOk, or the code of the first file that failed
/// @throws Error (model, options), OutputError
ExitCode run_transcribe(const TranscribeArguments& arguments);

}  // namespace qasr::app
