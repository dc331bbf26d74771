// Rates through the whole engine, beside the bare loop of gpu_bench: queue, scheduler, tokenizer, log-probabilities.
#pragma once

#include <string>

#include "workload.h"

namespace qasr::bench {

/// Lines `name value`: clients in a closed loop on one GPU, and the largest number of them on every GPU.
/// @param cache_dir  where the synthetic checkpoint is written, once
void print_engine_rates(const std::string& model, const Formats& formats, int n_gpus, const std::string& cache_dir);

}  // namespace qasr::bench
