// `qasr bench --concurrency`: throughput and times of answers by number of clients.
#pragma once

#include "bench.h"
#include "bench/benchmark.h"

namespace qasr::app {

/// Prints a row as soon as it is measured, or one JSON document at the end.
/// @throws Error, OutputError
ExitCode run_sweep(const BenchArguments& arguments, const bench::BenchmarkOptions& options);

}  // namespace qasr::app
