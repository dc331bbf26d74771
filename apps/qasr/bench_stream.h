// `qasr bench --stream`: reads the manifest, prints the report.
#pragma once

#include <string>

#include "bench.h"

namespace qasr::app {

/// A manifest has a line per recording: file, sentence, and when its words end in seconds (separated by spaces, or
/// nothing), separated by tabs. Files are relative to the manifest.
/// @throws Error, OutputError
ExitCode run_bench_stream(const BenchArguments& arguments);

}  // namespace qasr::app
