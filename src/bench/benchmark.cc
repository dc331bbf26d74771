#include "bench/benchmark.h"

#include <algorithm>
#include <fstream>
#include <memory>

#include "backend/registry.h"
#include "bench/machine_limits.h"
#include "bench/peak_memory.h"
#include "bench/pipeline.h"
#include "bench/stage_work.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "bench/synthetic_cache.h"
#include "engine/packed_cache.h"

namespace qasr::bench {
namespace {

constexpr double kReferenceBandwidth = 60e9;  // of total_at_60_gbs_ms, bytes per second

// What kAuto and kStored stand for (qasr/options.h).
WeightFormat chosen_format(WeightFormat requested, const WeightStore& weights) {
  if (requested == WeightFormat::kAuto) return WeightFormat::kQ8;
  if (requested != WeightFormat::kStored) return requested;
  return weights.all().front().dtype == DType::kBf16 ? WeightFormat::kBf16 : WeightFormat::kF32;
}

// The fastest arithmetic this machine has for products with such weights, in operations per second.
double product_peak(WeightFormat format, const DotPeaks& peaks) {
  if (format == WeightFormat::kF32) return peaks.f32;
  if (format == WeightFormat::kBf16) return peaks.bf16 > 0 ? peaks.bf16 : peaks.f32;
  return std::max(peaks.int8, peaks.f32);  // quantised
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

void check_options(const BenchmarkOptions& options) {
  const auto require = [](bool holds, const char* message) {
    if (!holds) throw Error(ErrorCode::kInvalidArgument, std::string("bench: ") + message);
  };
  require(options.audio_s >= 0.01 && options.audio_s <= 1200, "audio length is 0.01 to 1200 seconds");
  require(options.n_tokens >= 1, "at least one token");
  require(options.n_segments >= 1, "at least one segment");
  require(options.n_runs >= 1, "at least one run");
}

// Everything that is measured, before it is summarised.
struct Measurements {
  std::vector<StageTimes> runs;
  std::vector<double> read_rates, one_thread_rates;  // bytes per second in the gaps: one more than there are runs
  DotPeaks peaks;                                    // best of the gaps
  double load_peak_mb = 0, runs_peak_mb = 0;
  bool peak_is_exact = true;
};

struct LoadedModel {
  std::unique_ptr<PackedCache> packed;  // the weights may lie in its file
  std::unique_ptr<BareModel> model;
  WeightFormat format;
  double load_ms;
};

LoadedModel load_model(const std::filesystem::path& directory, const BenchmarkOptions& options, Backend& backend,
                       Measurements& measured) {
  measured.peak_is_exact = reset_peak_rss();
  LoadedModel loaded;
  const Stopwatch stopwatch;
  {
    const CheckpointFiles files = CheckpointFiles::open(directory);
    const ModelConfig config = parse_model_config(files);
    const WeightStore weights(files, config);
    loaded.format = chosen_format(options.weights, weights);
    loaded.packed = open_packed_cache(options.packed_dir, files, weights, loaded.format, backend, options.log);
    const WeightPacker packer(weights, backend, loaded.format,
                              [&](const HostTensor& tensor) { files.release(tensor); });
    loaded.model = std::make_unique<BareModel>(config, packer);
    if (loaded.packed != nullptr) loaded.packed->finish(backend);
  }
  loaded.load_ms = stopwatch.ms();
  measured.load_peak_mb = peak_rss_mb();
  return loaded;
}

// The memory of the reader exists in the gap only, so that it is not part of any run's peak.
void measure_machine(ThreadPool& all_threads, ThreadPool& one_thread, double step_bytes, Measurements& measured) {
  const DotPeaks peaks = measure_dot_peaks(all_threads);
  measured.peaks.loops = peaks.loops;
  for (double DotPeaks::*peak : {&DotPeaks::f32, &DotPeaks::bf16, &DotPeaks::int8}) {
    measured.peaks.*peak = std::max(measured.peaks.*peak, peaks.*peak);
  }
  // A model whose decode steps live in the caches is not judged by memory; measuring it should not take longer than it.
  constexpr double kSteps = 64;
  const StreamReader reader(static_cast<std::size_t>(kSteps * step_bytes));
  measured.read_rates.push_back(reader.measure(all_threads));
  measured.one_thread_rates.push_back(reader.measure(one_thread));
}

StageTimes run_once(Pipeline& pipeline, Measurements& measured) {
  measured.peak_is_exact = reset_peak_rss() && measured.peak_is_exact;
  const StageTimes times = pipeline.run();
  measured.runs_peak_mb = std::max(measured.runs_peak_mb, peak_rss_mb());
  return times;
}

// @return the total of the first run, which is not counted
double run_all(Pipeline& pipeline, const BenchmarkOptions& options, ThreadPool& pool, double step_bytes,
               const std::function<void(std::string_view)>& log, Measurements& measured) {
  ThreadPool one_thread(1);
  log("first run, not counted");
  const double first_total_ms = run_once(pipeline, measured).total_ms();
  measure_machine(pool, one_thread, step_bytes, measured);
  for (int run = 1; run <= options.n_runs; ++run) {
    log("run " + std::to_string(run) + " of " + std::to_string(options.n_runs));
    measured.runs.push_back(run_once(pipeline, measured));
    measure_machine(pool, one_thread, step_bytes, measured);
  }
  return first_total_ms;
}

// Median, minimum and distance from the limit of one stage.
template <typename Time>
StageReport summarise(const Measurements& measured, double limit_ms, Time time_of) {
  std::vector<double> times;
  for (const StageTimes& run : measured.runs) times.push_back(time_of(run));
  StageReport report{
      .median_ms = median(times), .min_ms = *std::min_element(times.begin(), times.end()), .limit_ms = limit_ms};
  if (report.median_ms > 0) report.percent_limit = 100 * limit_ms / report.median_ms;
  return report;
}

// Each run's decode step against the bandwidth around that run, not against the median of all.
double decode_percent(const Measurements& measured, int n_tokens, double step_bytes) {
  std::vector<double> percent;
  for (std::size_t run = 0; run < measured.runs.size(); ++run) {
    const double rate = (measured.read_rates[run] + measured.read_rates[run + 1]) / 2;
    percent.push_back(100 * step_bytes / rate / (measured.runs[run].decode_ms / n_tokens / 1000));
  }
  return median(percent);
}

void report_stages(const Measurements& measured, const StageWork& work, double peak, BenchmarkReport& report) {
  const auto limit_ms = [&](double multiply_adds) { return peak > 0 ? 1000 * 2 * multiply_adds / peak : 0; };
  const double step_limit_ms = report.decode_bytes / (report.read_gbs * 1e6);
  const double total_limit_ms = peak > 0 ? limit_ms(work.encoder + work.prefill) + report.n_tokens * step_limit_ms : 0;
  const auto step_ms = [&](const StageTimes& run) { return run.decode_ms / report.n_tokens; };
  report.mel = summarise(measured, 0, [](const StageTimes& run) { return run.mel_ms; });
  report.stem = summarise(measured, limit_ms(work.stem), [](const StageTimes& run) { return run.stem_ms; });
  report.encoder = summarise(measured, limit_ms(work.encoder), [](const StageTimes& run) { return run.encoder_ms; });
  report.prefill = summarise(measured, limit_ms(work.prefill), [](const StageTimes& run) { return run.prefill_ms; });
  report.decode_step = summarise(measured, step_limit_ms, step_ms);
  report.decode_step.percent_limit = decode_percent(measured, report.n_tokens, report.decode_bytes);
  report.total = summarise(measured, total_limit_ms, [](const StageTimes& run) { return run.total_ms(); });

  report.decode_gbs = report.decode_bytes / (report.decode_step.median_ms * 1e6);
  report.real_time_factor = report.n_segments * report.audio_s * 1000 / report.total.median_ms;
  const double decode_ms = report.n_tokens * report.decode_step.median_ms;
  report.total_at_60_gbs_ms =
      report.total.median_ms - decode_ms + decode_ms * report.read_gbs * 1e9 / kReferenceBandwidth;
}

void report_machine(const Measurements& measured, BenchmarkReport& report) {
  const DotPeaks& peaks = measured.peaks;
  report.cpu_model = cpu_model();
  report.read_gbs = median(measured.read_rates) / 1e9;
  report.read_gbs_one_thread = median(measured.one_thread_rates) / 1e9;
  report.f32_gflops = peaks.f32 / 1e9;
  report.bf16_gflops = peaks.bf16 / 1e9;
  report.int8_gops = peaks.int8 / 1e9;
  report.f32_instruction = peaks.loops.f32.instruction;
  report.bf16_instruction = peaks.loops.bf16.instruction;
  report.int8_instruction = peaks.loops.int8.instruction;
}

void report_options(const BenchmarkOptions& options, int n_threads, BenchmarkReport& report) {
  report.model = options.model_dir.empty() ? options.synthetic_model + " (synthetic)" : options.model_dir.string();
  report.isa = cpu_isa_name(options.cpu_isa);
  report.n_threads = n_threads;
  report.n_segments = options.n_segments;
  report.n_tokens = options.n_tokens;
  report.n_runs = options.n_runs;
  report.audio_s = options.audio_s;
}

}  // namespace

BenchmarkReport run_benchmark(const BenchmarkOptions& options) {
  check_options(options);
  const auto log = [&](std::string_view line) {
    if (options.log) options.log(line);
  };
  const std::unique_ptr<Backend> backend = make_cpu_backend(options.n_threads, options.cpu_isa);
  ThreadPool pool(options.n_threads);
  const std::filesystem::path directory =
      options.model_dir.empty() ? cached_synthetic_checkpoint(options.cache_dir, options.synthetic_model, options.log)
                                : options.model_dir;

  BenchmarkReport report;
  Measurements measured;
  report_options(options, pool.n_threads(), report);
  log("loading " + directory.string());
  const LoadedModel loaded = load_model(directory, options, *backend, measured);
  const BareModel& model = *loaded.model;
  const DType kv_dtype = kv_cache_dtype(options.kv_cache, loaded.format);
  Pipeline pipeline(model, *backend,
                    {.audio_s = options.audio_s,
                     .n_segments = options.n_segments,
                     .n_tokens = options.n_tokens,
                     .kv_dtype = kv_dtype});
  report.decode_bytes = static_cast<double>(model.decoder.step_weight_bytes()) + pipeline.kv_bytes_per_step();
  report.first_total_ms = run_all(pipeline, options, pool, report.decode_bytes, log, measured);

  report.load_ms = loaded.load_ms;
  report.packed_mapped = loaded.packed != nullptr && loaded.packed->is_hit();
  report.weights = loaded.format;
  report.kv_cache = kv_dtype == DType::kF32       ? KvCacheFormat::kF32
                    : kv_dtype == DType::kF8E4M3 ? KvCacheFormat::kFp8
                                                 : KvCacheFormat::kBf16;
  report.n_prompt_tokens = pipeline.n_prompt_tokens();
  report.n_audio_tokens = model.encoder.n_audio_tokens(pipeline.n_frames());
  report.runs_peak_rss_mb = measured.runs_peak_mb;
  report.peak_rss_mb = std::max(measured.load_peak_mb, measured.runs_peak_mb);
  report.peak_rss_is_exact = measured.peak_is_exact;
  report_machine(measured, report);
  const StageWork work = stage_work(model.config, options.n_segments, pipeline.n_frames(), report.n_prompt_tokens);
  report_stages(measured, work, product_peak(loaded.format, measured.peaks), report);
  return report;
}

}  // namespace qasr::bench
