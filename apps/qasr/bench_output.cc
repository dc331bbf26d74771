#include "bench_output.h"

#include <nlohmann/json.hpp>

#include "bench/build_info.h"
#include "format_names.h"
#include "printf_text.h"

namespace qasr::app {
namespace {

using bench::BenchmarkReport;
using bench::StageReport;

std::string stage_row(const char* name, const StageReport& stage) {
  std::string row = printf_text("  %-24s %10.2f %10.2f", name, stage.median_ms, stage.min_ms);
  if (stage.limit_ms > 0) row += printf_text(" %10.2f %7.1f %%", stage.limit_ms, stage.percent_limit);
  return row + "\n";
}

std::string peak_row(const char* name, double giga, const char* unit, const std::string& instruction) {
  if (giga == 0) return "";
  return printf_text("  %-24s %10.1f %s  (%s)\n", name, giga, unit, instruction.c_str());
}

std::string stages_text(const BenchmarkReport& report) {
  const std::string prefill = "prefill (" + std::to_string(report.n_prompt_tokens) + " rows)";
  return printf_text("  %-24s %10s %10s %10s %9s\n", "stage", "median ms", "min ms", "limit ms", "of limit") +
         stage_row("log-mel", report.mel) + stage_row("encoder, stem only", report.stem) +
         stage_row("encoder, all", report.encoder) + stage_row(prefill.c_str(), report.prefill) +
         stage_row("decode step", report.decode_step) + stage_row("total without loading", report.total);
}

std::string machine_text(const BenchmarkReport& report) {
  return printf_text("  %-24s %10.1f GB/s  (one thread %.1f)\n", "memory read", report.read_gbs,
                report.read_gbs_one_thread) +
         peak_row("f32 multiply-add", report.f32_gflops, "GFLOP/s", report.f32_instruction) +
         peak_row("bf16 dot product", report.bf16_gflops, "GFLOP/s", report.bf16_instruction) +
         peak_row("int8 dot product", report.int8_gops, "GOP/s", report.int8_instruction);
}

nlohmann::ordered_json stage_limits_json(const BenchmarkReport& report) {
  const auto stage = [](const StageReport& s) {
    return nlohmann::ordered_json{{"limit_ms", s.limit_ms}, {"percent", s.percent_limit}};
  };
  return {{"stem", stage(report.stem)},
          {"encoder", stage(report.encoder)},
          {"prefill", stage(report.prefill)},
          {"decode_step", stage(report.decode_step)},
          {"total", stage(report.total)}};
}

nlohmann::ordered_json machine_json(const BenchmarkReport& report) {
  return {{"cpu", report.cpu_model},
          {"read_gbs", report.read_gbs},
          {"read_gbs_one_thread", report.read_gbs_one_thread},
          {"f32_gflops", report.f32_gflops},
          {"f32_instruction", report.f32_instruction},
          {"bf16_gflops", report.bf16_gflops},
          {"bf16_instruction", report.bf16_instruction},
          {"int8_gops", report.int8_gops},
          {"int8_instruction", report.int8_instruction}};
}

}  // namespace

std::string benchmark_table(const BenchmarkReport& report) {
  const bench::BuildInfo build = bench::build_info();
  std::string text =
      printf_text("%s, %s weights, %s KV cache\n", report.model.c_str(), format_name(kWeightFormats, report.weights).c_str(),
             format_name(kKvCacheFormats, report.kv_cache).c_str());
  text += printf_text("%d x %g s of audio, %d tokens each; medians of %d runs\n", report.n_segments, report.audio_s,
                 report.n_tokens, report.n_runs);
  text += printf_text("%s, %s, %d threads; commit %s, %s, %s\n\n", report.cpu_model.c_str(), report.isa.c_str(),
                 report.n_threads, build.commit, build.type, build.compiler);
  text += stages_text(report);
  text += printf_text("\n  %-24s %10.1f ms%s\n", "load", report.load_ms,
                 report.packed_mapped ? "  (packed weights mapped)" : "");
  text += printf_text("  %-24s %10.1f ms\n", "first run", report.first_total_ms);
  text += printf_text("  %-24s %10.1f ms\n", "total at 60 GB/s", report.total_at_60_gbs_ms);
  text +=
      printf_text("  %-24s %10.1f GB/s  (%.0f MB a step)\n", "decode reads", report.decode_gbs, report.decode_bytes / 1e6);
  text += printf_text("  %-24s %10.2f x real time\n", "speed", report.real_time_factor);
  text += printf_text("  %-24s %10.0f MB  (runs %.0f MB)%s\n\n", "peak memory", report.peak_rss_mb, report.runs_peak_rss_mb,
                 report.peak_rss_is_exact ? "" : " of the whole process");
  return text + machine_text(report);
}

std::string benchmark_json(const BenchmarkReport& report) {
  const bench::BuildInfo build = bench::build_info();
  const nlohmann::ordered_json document = {
      {"model", report.model},
      {"weights", format_name(kWeightFormats, report.weights)},
      {"kv_cache", format_name(kKvCacheFormats, report.kv_cache)},
      {"threads", report.n_threads},
      {"isa", report.isa},
      {"batch", report.n_segments},
      {"audio_s", report.audio_s},
      {"tokens", report.n_tokens},
      {"runs", report.n_runs},
      {"audio_tokens", report.n_audio_tokens},
      {"prompt_tokens", report.n_prompt_tokens},
      {"packed_mapped", report.packed_mapped},
      {"load_ms", report.load_ms},
      {"mel_ms", report.mel.median_ms},
      {"stem_ms", report.stem.median_ms},
      {"encoder_ms", report.encoder.median_ms},
      {"prefill_ms", report.prefill.median_ms},
      {"decode_ms_per_token", report.decode_step.median_ms},
      {"total_ms", report.total.median_ms},
      {"mel_min_ms", report.mel.min_ms},
      {"stem_min_ms", report.stem.min_ms},
      {"encoder_min_ms", report.encoder.min_ms},
      {"prefill_min_ms", report.prefill.min_ms},
      {"decode_min_ms_per_token", report.decode_step.min_ms},
      {"total_min_ms", report.total.min_ms},
      {"first_total_ms", report.first_total_ms},
      {"total_at_60_gbs_ms", report.total_at_60_gbs_ms},
      {"decode_bytes_per_step", report.decode_bytes},
      {"decode_gbs", report.decode_gbs},
      {"rtfx", report.real_time_factor},
      {"peak_rss_mb", report.peak_rss_mb},
      {"runs_peak_rss_mb", report.runs_peak_rss_mb},
      {"peak_rss_is_exact", report.peak_rss_is_exact},
      {"limits", stage_limits_json(report)},
      {"machine", machine_json(report)},
      {"build", {{"commit", build.commit}, {"type", build.type}, {"compiler", build.compiler}}}};
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace qasr::app
