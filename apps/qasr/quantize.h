// `qasr quantize`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "exit_code.h"

namespace qasr::app {

struct QuantizeArguments {
  std::string model, directory;
  int bits = 8, group_size = 64, encoder_bits = 8, n_threads = 0;
  bool quiet = false;
};

CLI::App* add_quantize(CLI::App& app, QuantizeArguments& arguments);

/// @throws Error kInvalidArgument, kModel; OutputError
ExitCode run_quantize(const QuantizeArguments& arguments);

}  // namespace qasr::app
