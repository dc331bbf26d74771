// `qasr serve`: arguments, configuration file and environment of the server, and its start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "exit_code.h"
#include "transcribe.h"

namespace qasr::app {

struct ServeArguments {
  std::string config;
  std::string host = "127.0.0.1";
  int port = 8000;
  std::vector<std::string> models;   ///< NAME=MODEL or MODEL; empty: the demonstration model
  std::vector<std::string> aliases;  ///< ALIAS=NAME
  double max_upload_mb = 512, max_audio_s = 4 * 3600, timeout_s = 3600, drain_timeout_s = 30;
  int max_queue = 64, workers = 16, max_connections = 4096, max_realtime = 256;
  double idle_timeout_s = 60, body_timeout_s = 30, realtime_idle_s = 300, realtime_max_s = 86400;
  std::string api_keys, new_key;
  std::vector<std::string> cors;
  std::string tls_cert, tls_key;
  std::string access_log = "-";
  TranscribeArguments machine;  ///< of it: what add_machine_options() adds
};

CLI::App* add_serve(CLI::App& app, ServeArguments& arguments);

/// Serves until it is told to end.
/// @throws Error (model, options, address)
ExitCode run_serve(const ServeArguments& arguments);

}  // namespace qasr::app
