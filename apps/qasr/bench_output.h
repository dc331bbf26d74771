// What `qasr bench` prints.
#pragma once

#include <string>

#include "bench/benchmark.h"

namespace qasr::app {

std::string benchmark_table(const bench::BenchmarkReport& report);

/// One document. Keys without a prefix are medians; NAME_min_ms are minima.
std::string benchmark_json(const bench::BenchmarkReport& report);

}  // namespace qasr::app
