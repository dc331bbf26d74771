#include "bench_sweep.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/build_info.h"
#include "bench/closed_loop.h"
#include "bench/synthetic_cache.h"
#include "device_option.h"
#include "output.h"

namespace qasr::app {
namespace {

using bench::ClosedLoopOptions;
using bench::ClosedLoopReport;

std::shared_ptr<const Engine> open_engine(const BenchArguments& arguments, const bench::BenchmarkOptions& options) {
  const std::filesystem::path directory =
      options.model_dir.empty()
          ? bench::cached_synthetic_checkpoint(options.cache_dir, options.synthetic_model, options.log)
          : options.model_dir;
  EngineOptions engine{.weights = options.weights,
                       .kv_cache = options.kv_cache,
                       .n_threads = options.n_threads,
                       .cpu_isa = options.cpu_isa,
                       .cache_dir = options.packed_dir,
                       .log = options.log};
  choose_device(arguments.device, engine);
  const int most = *std::max_element(arguments.concurrency.begin(), arguments.concurrency.end());
  const int n_segments = static_cast<int>(std::ceil(options.audio_s / arguments.segment_s));
  engine.scheduler.max_batch = arguments.max_batch > 0 ? arguments.max_batch : std::min(512, most * n_segments);
  return Engine::open(directory, engine);
}

std::string row_text(int concurrency, const ClosedLoopReport& report) {
  char row[200];
  std::snprintf(row, sizeof row, "%8d %12.1f %10.1f %12.1f %10.1f %10.1f %10.1f\n", concurrency, report.audio_s_per_s,
                report.tokens_per_s, report.first_token_p50_ms, report.first_token_p95_ms, report.clip_p50_ms,
                report.clip_p95_ms);
  return row;
}

nlohmann::ordered_json row_json(int concurrency, const ClosedLoopReport& report) {
  return {{"concurrency", concurrency},
          {"clips", report.n_clips},
          {"audio_s_per_s", report.audio_s_per_s},
          {"tokens_per_s", report.tokens_per_s},
          {"first_token_p50_ms", report.first_token_p50_ms},
          {"first_token_p95_ms", report.first_token_p95_ms},
          {"clip_p50_ms", report.clip_p50_ms},
          {"clip_p95_ms", report.clip_p95_ms},
          {"token_share", report.token_share}};
}

}  // namespace

ExitCode run_sweep(const BenchArguments& arguments, const bench::BenchmarkOptions& options) {
  const std::shared_ptr<const Engine> engine = open_engine(arguments, options);
  const bench::BuildInfo build = bench::build_info();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  if (!arguments.json) {
    print(engine->info().path + "\n" + engine->backend_description() + "; commit " + build.commit + "\n\n" +
          " clients  audio s / s   tokens/s  first ms p50       p95   clip ms p50      p95\n");
  }
  for (const int concurrency : arguments.concurrency) {
    const ClosedLoopReport report = bench::run_closed_loop(engine, {.concurrency = concurrency,
                                                                    .clip_s = options.audio_s,
                                                                    .segment_s = arguments.segment_s,
                                                                    .tokens_per_s = options.n_tokens / options.audio_s,
                                                                    .rounds = options.n_runs});
    if (!arguments.json) print(row_text(concurrency, report));
    rows.push_back(row_json(concurrency, report));
  }
  if (!arguments.json) return kExitOk;
  const nlohmann::ordered_json document = {{"model", engine->info().path},
                                           {"device", engine->backend_description()},
                                           {"audio_s", options.audio_s},
                                           {"segment_s", arguments.segment_s},
                                           {"tokens", options.n_tokens},
                                           {"sweep", rows},
                                           {"build", {{"commit", build.commit}, {"compiler", build.compiler}}}};
  print(document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  return kExitOk;
}

}  // namespace qasr::app
