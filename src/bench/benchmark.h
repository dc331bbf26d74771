// `qasr bench`: one checkpoint, one workload, several runs. The machine's limits are measured between the runs, because
// memory bandwidth of shared machines drifts.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "qasr/options.h"

namespace qasr::bench {

struct BenchmarkOptions {
  std::filesystem::path model_dir{};  ///< empty: the synthetic checkpoint
  std::string synthetic_model{};      ///< "qwen3-asr-0.6b"; made once in cache_dir
  std::filesystem::path cache_dir{};
  /// Packed weights are kept here and mapped by later loads (docs/cache.md); empty: packed at every load.
  std::filesystem::path packed_dir{};
  double audio_s = 30;
  int n_tokens = 120;  ///< decode steps, whatever the model says
  int n_segments = 1;  ///< equally long recordings encoded, prefilled and decoded together
  int n_runs = 5;      ///< after one that is not counted
  int n_threads = 0;
  WeightFormat weights = WeightFormat::kAuto;
  KvCacheFormat kv_cache = KvCacheFormat::kAuto;
  std::string cpu_isa{};
  std::function<void(std::string_view)> log{};  ///< progress; may be empty
};

/// One stage over all counted runs.
struct StageReport {
  double median_ms = 0, min_ms = 0;
  double limit_ms = 0;       ///< what the machine's measured limits allow; 0: no limit is known
  double percent_limit = 0;  ///< 100 limit / median; 0: no limit is known
};

struct BenchmarkReport {
  std::string model, isa;
  WeightFormat weights{};    ///< never kAuto or kStored, but what they meant
  KvCacheFormat kv_cache{};  ///< never kAuto
  int n_threads = 0, n_segments = 0, n_tokens = 0, n_runs = 0;
  double audio_s = 0;
  int n_audio_tokens = 0, n_prompt_tokens = 0;  ///< of one segment

  bool packed_mapped = false;                      ///< loading found packed weights of an earlier run
  double load_ms = 0;                              ///< once: from opening the files to packed weights
  double first_total_ms = 0;                       ///< the run that is not counted: fresh memory, cold caches
  StageReport mel, stem, encoder, prefill, total;  ///< encoder includes stem
  StageReport decode_step;                         ///< one step: a token for every segment
  double decode_bytes = 0;                         ///< weights, head, keys and values that a step reads
  double decode_gbs = 0;                           ///< 10^9 bytes per second
  double real_time_factor = 0;                     ///< seconds of audio per second, loading not counted
  /// Total if memory were read at 60 GB/s: only decode steps change, by measured over assumed bandwidth.
  double total_at_60_gbs_ms = 0;

  double peak_rss_mb = 0;          ///< loading and runs, without the memory that measures the machine
  double runs_peak_rss_mb = 0;     ///< runs only
  bool peak_rss_is_exact = false;  ///< false: the system could not start the peak over; it covers the whole process

  std::string cpu_model;
  double read_gbs = 0, read_gbs_one_thread = 0;           ///< median over the gaps between runs
  double f32_gflops = 0, bf16_gflops = 0, int8_gops = 0;  ///< 0: no such instruction
  std::string f32_instruction, bf16_instruction, int8_instruction;
};

/// @throws Error  what opening a checkpoint or the backend throws; kInvalidArgument  a number out of range
BenchmarkReport run_benchmark(const BenchmarkOptions& options);

}  // namespace qasr::bench
