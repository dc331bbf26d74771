// `qasr align`: when each word of a known text is said.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "exit_code.h"
#include "qasr/formats.h"

namespace qasr::app {

struct AlignArguments {
  std::string audio, text, model_dir;
  std::string language = "auto", format = "txt", device = "auto", weights = "auto";
  std::string cache_dir;
  double max_piece_s = 0;
  int n_threads = 0;
  bool official_times = false, keep_marks = false, quiet = false, timings = false;
  SubtitleOptions subtitles;
};

CLI::App* add_align(CLI::App& app, AlignArguments& arguments);
ExitCode run_align(const AlignArguments& arguments);

}  // namespace qasr::app
