#include "engine_bench.h"

#include <algorithm>
#include <cstdio>

#include "bench/closed_loop.h"
#include "bench/synthetic_cache.h"

namespace qasr::bench {
namespace {

std::shared_ptr<const Engine> open_on(const std::filesystem::path& checkpoint, const Formats& formats, int device,
                                      int max_batch) {
  return Engine::open(checkpoint,
                      {.backend = BackendKind::kCuda,
                       .cuda_device = device,
                       .weights = formats.weights,
                       .kv_cache = formats.kv_cache == DType::kF8E4M3 ? KvCacheFormat::kFp8 : KvCacheFormat::kAuto,
                       .scheduler = {.max_batch = max_batch}});
}

double print_rates(const std::shared_ptr<const Engine>& engine, const std::string& name,
                   const ClosedLoopOptions& options) {
  const ClosedLoopReport report = run_closed_loop(engine, options);
  const std::string prefix = name + "_" + std::to_string(options.concurrency);
  std::printf("%s %.6g\n", prefix.c_str(), report.audio_s_per_s);
  std::printf("%s_first_p50_ms %.4g\n%s_first_p95_ms %.4g\n", prefix.c_str(), report.first_token_p50_ms, prefix.c_str(),
              report.first_token_p95_ms);
  std::printf("%s_token_share %.4g\n", prefix.c_str(), report.token_share);
  std::fflush(stdout);
  return report.audio_s_per_s;
}

}  // namespace

void print_engine_rates(const std::string& model, const Formats& formats, int n_gpus, const std::string& cache_dir) {
  constexpr int kMost = 128;
  const std::filesystem::path checkpoint = cached_synthetic_checkpoint(cache_dir, model, {});
  double one = 0;
  {
    const auto engine = open_on(checkpoint, formats, 0, 512);
    for (const int clients : {1, 8, 32, kMost, 512}) {
      const double rate =
          print_rates(engine, "engine_clips30", {.concurrency = clients, .rounds = std::max(4, 80 / clients)});
      if (clients == kMost) one = rate;
    }
    print_rates(engine, "engine_segments", {.concurrency = kMost, .clip_s = 120, .rounds = 2});
    if (n_gpus == 1) {
      print_rates(engine, "engine_single_segments", {.concurrency = 1, .clip_s = 120, .rounds = 10});
      print_rates(engine, "engine_single_whole", {.concurrency = 1, .clip_s = 120, .segment_s = 120, .rounds = 3});
      print_rates(engine, "engine_whole", {.concurrency = kMost, .clip_s = 120, .segment_s = 120, .rounds = 2});
    }
  }
  if (n_gpus == 1) return;
  const auto engine = open_on(checkpoint, formats, kAllCudaDevices, 512);
  const double all = print_rates(engine, "engine_all_gpus", {.concurrency = kMost * n_gpus, .rounds = 4});
  std::printf("engine_gpus_ratio %.4g\n", all / one);
}

}  // namespace qasr::bench
