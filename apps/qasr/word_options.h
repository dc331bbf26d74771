// `--words` and `--aligner`: word times for subcommands that transcribe.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "qasr/align.h"
#include "transcribe.h"

namespace qasr::app {

void add_word_options(CLI::App& command, TranscribeArguments& arguments);
bool wants_words(const TranscribeArguments& arguments);

/// @throws Error kInvalidArgument  this program has none
std::shared_ptr<const Aligner> open_built_in_aligner(const EngineOptions& options);

/// The aligner that --aligner names; else the built-in one beside the demonstration model, and beside other models the
/// downloaded one ("aligner"). On the machine that the arguments name.
/// @throws Error kModel  there is none, or it is no aligner
std::shared_ptr<const Aligner> open_aligner(const TranscribeArguments& arguments);

}  // namespace qasr::app
