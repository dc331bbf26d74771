// `qasr stream`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "event_output.h"
#include "exit_code.h"
#include "transcribe.h"

namespace qasr::app {

struct StreamArguments {
  std::string file;            ///< "-" is standard input, "" the microphone
  TranscribeArguments common;  ///< model, machine, language
  std::string microphone, latency = "balanced", commit = "agreement", format = "txt", sample_format = "s16";
  int rate = 0;  ///< of raw input; 0: standard input is a recording
  int channels = 1, chunk_ms = 0, agreement = 0, endpoint_ms = 700, carry_context = 0;
  double max_segment_s = 24, max_load = 0.2;
  bool list_microphones = false, realtime = false, json_lines = false, no_vad = false, end_at_pause = false;
};

CLI::App* add_stream(CLI::App& app, StreamArguments& arguments);

/// Transcribes until the source ends or Ctrl-C, which is a normal end.
/// @return kExitOk, or the code of what failed; what is committed was printed
/// @throws Error (model, options), OutputError
ExitCode run_stream(const StreamArguments& arguments);

// stream_options.cc: what the arguments mean.
StreamOptions stream_options(const StreamArguments& arguments, int sample_rate);
LiveFormat live_format(const StreamArguments& arguments);

}  // namespace qasr::app
