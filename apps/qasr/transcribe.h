// `qasr transcribe`: arguments and what they start.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "exit_code.h"
#include "input_files.h"
#include "qasr/engine.h"
#include "qasr/formats.h"
#include "recording_job.h"

namespace qasr::app {

struct TranscribeArguments {
  InputArguments input;
  std::string model_dir;  ///< empty: the demonstration model
  std::string language = "auto";
  std::string context, hotwords;
  std::string cache_dir;  ///< empty: no cache of packed weights
  std::string aligner;    ///< empty: word_options.h
  std::string weights = "auto", kv_cache = "auto", backend, device = "auto";
  std::string output_dir;            ///< empty: standard output
  std::vector<std::string> formats;  ///< empty: txt
  std::string vad = "auto";
  double offset_s = 0, duration_s = 0, max_hours = 48;
  int channel = 0;  ///< counted from 1; 0: the mix of all
  SamplingOptions sampling;
  SubtitleOptions subtitles;
  int n_threads = 0, max_tokens = 0, batch = 0;
  double max_segment_s = 0, segment_s = 20;
  bool json = false, timings = false, quiet = false, no_pad = false, split_channels = false, colors = false;
  bool resume = false, strict = false, no_guards = false, words = false;
};

CLI::App* add_transcribe(CLI::App& app, TranscribeArguments& arguments);

/// Transcribes every recording, several at a time, and goes on after a failure.
/// @return kExitOk, or the code of the first recording that failed; kExitIncomplete with --strict; kExitInterrupted
/// @throws Error (model, options), OutputError
ExitCode run_transcribe(const TranscribeArguments& arguments);

// transcribe_options.cc: what the arguments mean.

/// Formats that are wanted, each once.
std::vector<OutputFormat> wanted_formats(const TranscribeArguments& arguments);
/// @throws Error kInvalidArgument  options that exclude each other, or that would have no effect
void check_arguments(const TranscribeArguments& arguments, const CLI::App* command);
/// @throws Error kInvalidArgument  results of several recordings cannot go to standard output in that format
void check_standard_output(const TranscribeArguments& arguments, std::size_t n_inputs);
EngineOptions engine_options(const TranscribeArguments& arguments);
/// Language, context and hotwords; model and machine: for subcommands that share them.
void add_language_options(CLI::App& command, TranscribeArguments& arguments);
void add_machine_options(CLI::App& command, TranscribeArguments& arguments);
/// Opens the model that the arguments name, the demonstration model (with a notice) without one.
std::shared_ptr<const Engine> open_engine(const TranscribeArguments& arguments);
/// The text of --context and the words of --hotwords.
/// @throws Error kInvalidArgument  @FILE cannot be read or is not UTF-8
std::string context_text(const TranscribeArguments& arguments);
std::vector<std::string> hotword_list(const TranscribeArguments& arguments);
/// @throws Error kInvalidArgument  --context @FILE or --hotwords @FILE cannot be read or is not UTF-8
JobOptions job_options(const TranscribeArguments& arguments, double recommended_max_segment_s);

}  // namespace qasr::app
