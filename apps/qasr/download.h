// `qasr download` and `qasr models`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "exit_code.h"

namespace qasr::app {

struct DownloadArguments {
  std::string name, endpoint, revision = "main";
  std::vector<std::string> files;
  int n_parallel = 4, stall_timeout_s = 30;
  bool quiet = false;
};

struct ModelsArguments {
  std::string remove;  ///< empty: list
  bool json = false;
};

CLI::App* add_download(CLI::App& app, DownloadArguments& arguments);
CLI::App* add_models(CLI::App& app, ModelsArguments& arguments);

/// @throws Error kInvalidArgument, kModel; OutputError
ExitCode run_download(const DownloadArguments& arguments);
ExitCode run_models(const ModelsArguments& arguments);

}  // namespace qasr::app
