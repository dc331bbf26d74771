#include "bench_stream.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/stream_bench.h"
#include "demo_model.h"
#include "format_names.h"
#include "model_cache.h"
#include "output.h"

namespace qasr::app {
namespace {

using bench::Percentiles;
using bench::StreamBenchReport;

std::vector<bench::KnownRecording> read_manifest(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::kInput, "cannot read the manifest " + path.string());
  std::vector<bench::KnownRecording> recordings;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    std::istringstream fields(line);
    std::string name, sentence, ends;
    std::getline(fields, name, '\t');
    std::getline(fields, sentence, '\t');
    std::getline(fields, ends, '\t');
    bench::KnownRecording& recording = recordings.emplace_back();
    recording.samples = load_audio(path.parent_path() / name).samples;
    recording.words = bench::plain_words(sentence);
    std::istringstream numbers(ends);
    for (double end_s = 0; numbers >> end_s;) recording.word_ends_s.push_back(end_s);
    if (!recording.word_ends_s.empty() && recording.word_ends_s.size() != recording.words.size()) {
      throw Error(ErrorCode::kInput, path.string() + ": " + name + " has " + std::to_string(recording.words.size()) +
                                         " words and " + std::to_string(recording.word_ends_s.size()) + " ends");
    }
  }
  if (recordings.empty()) throw Error(ErrorCode::kInput, path.string() + " names no recording");
  return recordings;
}

std::shared_ptr<const Engine> open_model(const BenchArguments& arguments) {
  EngineOptions options;
  options.weights = kWeightFormats.at(arguments.weights);
  options.kv_cache = kKvCacheFormats.at(arguments.kv_cache);
  options.n_threads = arguments.n_threads;
  if (const char* isa = std::getenv("QASR_CPU_ISA")) options.cpu_isa = isa;
  if (!arguments.quiet) options.log = [](std::string_view line) { print_error(line); };
  if (arguments.model_dir == "demo") return Engine::open(demo_model_files(), kDemoModelName, options);
  if (!arguments.model_dir.empty()) return Engine::open(resolve_model(arguments.model_dir), options);
  throw Error(ErrorCode::kInvalidArgument, "--stream needs --model: a synthetic checkpoint has no tokenizer");
}

nlohmann::ordered_json percentile_json(const Percentiles& p) {
  return {{"n", p.n}, {"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}};
}

std::string report_json(const StreamBenchReport& report) {
  const nlohmann::ordered_json json = {{"streams", report.n_streams},
                                       {"chunk_ms", report.chunk_ms},
                                       {"audio_s", report.audio_s},
                                       {"wall_s", report.wall_s},
                                       {"paced", report.paced},
                                       {"steps", report.n_steps},
                                       {"segments", report.n_segments},
                                       {"words", report.n_words},
                                       {"words_found", report.n_words_found},
                                       {"first_partial_s", percentile_json(report.first_partial_s)},
                                       {"commit_delay_s", percentile_json(report.commit_delay_s)},
                                       {"compute_per_audio_s", report.compute_per_audio_s},
                                       {"first_minute_per_audio_s", report.first_minute_per_audio_s},
                                       {"last_minute_per_audio_s", report.last_minute_per_audio_s},
                                       {"tail_s", report.tail_s},
                                       {"early_rss_mb", report.early_rss_mb},
                                       {"late_rss_mb", report.late_rss_mb},
                                       {"preprocessing_ms", report.timings.preprocessing_ms},
                                       {"audio_encoding_ms", report.timings.audio_encoding_ms},
                                       {"prefill_ms", report.timings.prefill_ms},
                                       {"text_generation_ms", report.timings.text_generation_ms},
                                       {"encoded_rows_per_s", report.encoded_rows_per_s},
                                       {"prefilled_rows_per_s", report.prefilled_rows_per_s},
                                       {"decoded_tokens_per_s", report.decoded_tokens_per_s}};
  return json.dump(2) + "\n";
}

std::string texts_json(const bench::StreamTextReport& report) {
  nlohmann::ordered_json different = nlohmann::ordered_json::array();
  for (const auto& [offline, live] : report.different) different.push_back({{"offline", offline}, {"stream", live}});
  const nlohmann::ordered_json json = {{"recordings", report.n_recordings},
                                       {"equal", report.n_equal},
                                       {"words", report.n_words},
                                       {"offline_edits", report.offline_edits},
                                       {"stream_edits", report.stream_edits},
                                       {"different", different}};
  return json.dump(2) + "\n";
}

std::string row(const char* name, const char* pattern, double value) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, value);
  return std::string("  ") + name + text + "\n";
}

std::string percentile_row(const char* name, const Percentiles& p) {
  if (p.n == 0) return "";
  char text[160];
  std::snprintf(text, sizeof text, "  %s%8.2f %8.2f %8.2f s   (%zu)\n", name, p.p50, p.p95, p.p99, p.n);
  return text;
}

std::string report_table(const StreamBenchReport& report) {
  char head[200];
  std::snprintf(head, sizeof head, "%d %s of %.0f s, a step every %d ms: %zu steps, %zu segments, %zu of %zu words\n",
                report.n_streams, report.n_streams == 1 ? "stream" : "streams", report.audio_s, report.chunk_ms,
                report.n_steps, report.n_segments, report.n_words_found, report.n_words);
  std::string table = head;
  if (report.paced) {
    table += "                               p50      p95      p99\n";
    table += percentile_row("first partial         ", report.first_partial_s);
    table += percentile_row("commit delay of words ", report.commit_delay_s);
    table += row("end behind the audio  ", "%8.2f s", report.tail_s);
  }
  table += row("compute per audio s   ", "%8.3f s", report.compute_per_audio_s);
  table += row("  encoder rows        ", "%8.1f", report.encoded_rows_per_s);
  table += row("  prefill rows        ", "%8.1f", report.prefilled_rows_per_s);
  table += row("  decoded tokens      ", "%8.2f", report.decoded_tokens_per_s);
  table += row("  first minute        ", "%8.3f s", report.first_minute_per_audio_s);
  table += row("  last minute         ", "%8.3f s", report.last_minute_per_audio_s);
  table += row("memory, early         ", "%8.1f MB", report.early_rss_mb);
  table += row("memory, at the end    ", "%8.1f MB", report.late_rss_mb);
  return table;
}

}  // namespace

ExitCode run_bench_stream(const BenchArguments& arguments) {
  bench::StreamBenchOptions options;
  options.recordings = read_manifest(arguments.stream_manifest);
  options.n_streams = arguments.n_streams;
  options.audio_s = arguments.audio_s;
  options.paced = !arguments.unpaced;
  options.pause_s = arguments.pause_s;
  options.stream.latency = arguments.latency == "low"        ? StreamLatency::kLow
                           : arguments.latency == "accurate" ? StreamLatency::kAccurate
                                                             : StreamLatency::kBalanced;
  options.stream.chunk_ms = arguments.chunk_ms;
  options.stream.max_load = arguments.max_load;
  options.stream.agreement = arguments.agreement;
  options.stream.max_segment_s = arguments.max_segment_s;
  options.tokens_per_s = arguments.tokens_per_s;
  if (options.tokens_per_s > 0) options.stream.language = "English";  // else nonsense never says which
  if (arguments.push_ms >= 0) {
    print(texts_json(bench::compare_stream_texts(open_model(arguments), options, arguments.push_ms)));
    return kExitOk;
  }
  const StreamBenchReport report = bench::run_stream_benchmark(open_model(arguments), options);
  print(arguments.json ? report_json(report) : report_table(report));
  return kExitOk;
}

}  // namespace qasr::app
