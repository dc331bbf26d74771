// `qasr info`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "exit_code.h"

namespace qasr::app {

struct InfoArguments {
  std::string model_dir;  ///< empty: the demonstration model
  bool json = false;
  bool tensors = false;  ///< list them
};

CLI::App* add_info(CLI::App& app, InfoArguments& arguments);

/// @throws Error kModel, OutputError
ExitCode run_info(const InfoArguments& arguments);

}  // namespace qasr::app
