// `qasr bench`: measures load, log-mel, stem, encoder, prefill and decode steps, and the machine's own limits beside
// them. docs/performance.md says what the figures mean. Looks inside the library (src/bench), unlike other subcommands.
#include "bench.h"

#include <cstdlib>
#include <filesystem>

#include "bench/benchmark.h"
#include "bench_output.h"
#include "bench_stream.h"
#include "bench_sweep.h"
#include "device_option.h"
#include "format_names.h"
#include "model_cache.h"
#include "output.h"

namespace qasr::app {
namespace {

constexpr const char* kBenchExamples =
    "Examples:\n"
    "  qasr bench\n"
    "  qasr bench --weights bf16 --batch 4 --json\n"
    "  qasr bench --model Qwen3-ASR-0.6B --audio-s 120 --tokens 480\n"
    "  qasr bench --device cuda:all --concurrency 1,32,128 --audio-s 120 --tokens 420 --runs 4\n"
    "  QASR_CPU_ISA=avx2 qasr bench --threads 1\n";

/// Where programs keep what they can make again (XDG base directory specification).
std::filesystem::path user_cache_dir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return std::filesystem::path(cache) / "qasr";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache/qasr";
  }
  throw Error(ErrorCode::kInvalidArgument, "no cache directory: HOME is not set; use --cache-dir");
}

bench::BenchmarkOptions benchmark_options(const BenchArguments& arguments) {
  bench::BenchmarkOptions options;
  if (!arguments.model_dir.empty()) options.model_dir = resolve_model(arguments.model_dir);
  options.synthetic_model = "qwen3-asr-" + arguments.synthetic;
  if (arguments.model_dir.empty() || arguments.packed) {
    options.cache_dir = bench_cache_dir(arguments);
  }
  if (arguments.packed) options.packed_dir = options.cache_dir;
  options.audio_s = arguments.audio_s;
  options.n_tokens = arguments.n_tokens;
  options.n_segments = arguments.n_segments;
  options.n_runs = arguments.n_runs;
  options.n_threads = arguments.n_threads;
  options.weights = kWeightFormats.at(arguments.weights);
  options.kv_cache = kKvCacheFormats.at(arguments.kv_cache);
  if (const char* isa = std::getenv("QASR_CPU_ISA")) options.cpu_isa = isa;
  if (!arguments.quiet) options.log = [](std::string_view line) { print_error(line); };
  return options;
}

void add_stream_options(CLI::App& command, BenchArguments& arguments) {
  constexpr const char* kGroup = "Live streams";
  command
      .add_option("--stream", arguments.stream_manifest,
                  "Measure live streams that speak these recordings: a line each with file, sentence and ends of its "
                  "words in seconds, between tabs. --audio-s is the length of a stream, --model demo the demonstration "
                  "model")
      ->type_name("MANIFEST")
      ->group(kGroup);
  command.add_option("--streams", arguments.n_streams, "Streams at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str()
      ->type_name("N")
      ->group(kGroup);
  command.add_flag("--unpaced", arguments.unpaced, "Do not wait for the clock; no delays are measured")->group(kGroup);
  command.add_option("--latency", arguments.latency, "low, balanced or accurate")
      ->check(CLI::IsMember({"low", "balanced", "accurate"}))
      ->capture_default_str()
      ->type_name("PRESET")
      ->group(kGroup);
  command.add_option("--chunk-ms", arguments.chunk_ms, "Audio between two steps")
      ->check(CLI::Range(100, 10000))
      ->type_name("MS")
      ->group(kGroup);
  command.add_option("--agreement", arguments.agreement, "Hypotheses that must agree")
      ->check(CLI::Range(1, 8))
      ->type_name("N")
      ->group(kGroup);
  command
      .add_option(
          "--compare-texts", arguments.push_ms,
          "Compare every recording's text as a stream with its offline text, in pushes of so many ms (0: random); "
          "prints JSON")
      ->check(CLI::Range(0, 60000))
      ->type_name("MS")
      ->group(kGroup);
  command.add_option("--max-load", arguments.max_load, "Share of real time that steps may compute; 0: no limit")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->type_name("X")
      ->group(kGroup);
  command.add_option("--pause-s", arguments.pause_s, "Between recordings")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str()
      ->type_name("S")
      ->group(kGroup);
  command.add_option("--max-segment-s", arguments.max_segment_s, "Longest segment")
      ->check(CLI::Range(5.0, 120.0))
      ->capture_default_str()
      ->type_name("S")
      ->group(kGroup);
  command
      .add_option(
          "--tokens-per-s", arguments.tokens_per_s,
          "Answers have so many tokens per second of audio whatever the model says (made-up weights); 0: as it says")
      ->check(CLI::Range(0.0, 16.0))
      ->capture_default_str()
      ->type_name("N")
      ->group(kGroup);
}

}  // namespace

std::filesystem::path bench_cache_dir(const BenchArguments& arguments) {
  return arguments.cache_dir.empty() ? user_cache_dir() : std::filesystem::path(arguments.cache_dir);
}

CLI::App* add_bench(CLI::App& app, BenchArguments& arguments) {
  CLI::App* command = app.add_subcommand("bench", "Measure speed and memory beside the limits of this machine");
  CLI::Option* model = command->add_option("-m,--model", arguments.model_dir, "Checkpoint directory")->type_name("DIR");
  command->add_option("--synthetic", arguments.synthetic, "Size of the synthetic checkpoint used without --model")
      ->check(CLI::IsMember({"0.6b", "1.7b"}))
      ->capture_default_str()
      ->excludes(model)
      ->type_name("SIZE");
  command
      ->add_option(
          "--cache-dir", arguments.cache_dir,
          "Where the synthetic checkpoint and, with --packed, packed weights are kept; default: the user's cache "
          "directory")
      ->type_name("DIR");
  command->add_flag("--packed", arguments.packed, "Keep packed weights, and load those of an earlier run");
  command->add_option("--audio-s", arguments.audio_s, "Length of each recording in seconds")
      ->check(CLI::Range(0.1, 36000.0))
      ->capture_default_str()
      ->type_name("S");
  command->add_option("--tokens", arguments.n_tokens, "Tokens decoded per recording, end tokens ignored")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--batch", arguments.n_segments, "Recordings that are encoded and decoded together")
      ->check(CLI::Range(1, 256))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("-t,--threads", arguments.n_threads, "Threads; 0 is one per core")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  command->add_option("--weights", arguments.weights, "Weights in memory")
      ->check(CLI::IsMember(kWeightFormats))
      ->capture_default_str()
      ->type_name("FORMAT");
  command->add_option("--kv-cache", arguments.kv_cache, "Keys and values in memory")
      ->check(CLI::IsMember(kKvCacheFormats))
      ->capture_default_str()
      ->type_name("FORMAT");
  CLI::Option* sweep =
      command
          ->add_option("--concurrency", arguments.concurrency,
                       "Instead of stages: the whole engine with so many clients, each with one recording under way; "
                       "several numbers with commas")
          ->check(CLI::Range(1, 4096))
          ->delimiter(',')
          ->type_name("N,...");
  command->add_option("--device", arguments.device, "With --concurrency: auto, cpu, cuda, cuda:N or cuda:all")
      ->check(CLI::Validator(check_device, ""))
      ->capture_default_str()
      ->needs(sweep)
      ->type_name("NAME");
  command
      ->add_option("--segment-s", arguments.segment_s,
                   "With --concurrency: recordings are cut into pieces of so many seconds")
      ->check(CLI::Range(0.5, 1200.0))
      ->capture_default_str()
      ->needs(sweep)
      ->type_name("S");
  command
      ->add_option("--max-batch", arguments.max_batch,
                   "With --concurrency: most sequences decoded together; 0 is all, up to 512")
      ->check(CLI::Range(0, 4096))
      ->needs(sweep)
      ->type_name("N");
  command->add_option("--runs", arguments.n_runs, "Runs whose medians are reported, after one that is not counted")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str()
      ->type_name("N");
  command->add_flag("--json", arguments.json, "Print JSON");
  command->add_flag("-q,--quiet", arguments.quiet, "No progress on standard error");
  add_stream_options(*command, arguments);
  command->footer(kBenchExamples);
  return command;
}

ExitCode run_bench(const BenchArguments& arguments) {
  if (!arguments.stream_manifest.empty()) return run_bench_stream(arguments);
  if (!arguments.concurrency.empty()) return run_sweep(arguments, benchmark_options(arguments));
  const bench::BenchmarkReport report = bench::run_benchmark(benchmark_options(arguments));
  print(arguments.json ? benchmark_json(report) : benchmark_table(report));
  return kExitOk;
}

}  // namespace qasr::app
