// Speed of GPUs on models of the true sizes with synthetic weights, beside what the GPU can do at all. Prints the
// tables of docs/performance-gpu.md.
//
//   gpu_bench [MODEL] [MODE] [--weights bf16|q8|fp8] [--kv-cache bf16|fp8] [--gpus N] [--cache-dir DIR]
//
//   MODEL  qwen3-asr-0.6b or qwen3-asr-1.7b
//   MODE   all       every table
//          quick     without the sweep over numbers of clips
//          steps     encoder and decode steps only
//          bars      lines `name value` for bench/gpu/bars.py; fewer with other formats than bf16
//          gpus      batches of 128 clips of 30 s from one queue, on one GPU and on all N, one thread each
//          engine    clients in a closed loop through the whole engine; with --gpus N on one GPU and on all
//          choices   encoder with and without recorded layers, decode steps with sampling options
//          single    one clip after the other, to look at the memory from outside
//          profile   every stage once, for a profiler
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "backend/registry.h"
#include "choice_bench.h"
#include "engine_bench.h"
#include "qasr/error.h"
#include "workload.h"

namespace qasr::bench {
namespace {

struct Machine {
  double copy_bytes_per_s = 0, flops_per_s = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

DeviceTensor random_matrix(Backend& backend, std::int64_t rows, std::int64_t cols, DType dtype) {
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * cols) * dtype_bytes(dtype) / 2);
  std::uint32_t state = 1;
  for (std::uint16_t& word : bits) {
    state = state * 1664525u + 1013904223u;
    word = static_cast<std::uint16_t>(0x3c00u | (state >> 16 & 0x83ffu));  // bf16 between 2^-7 and 2^1, both signs
  }
  DeviceTensor tensor;
  backend.upload(bits.data(), tensor.resize(backend, {rows, cols}, dtype));
  return tensor;
}

double seconds_of(Backend& backend, ConstTensorView last, int repeats, const auto& operation) {
  float value = 0;
  const auto wait = [&] { backend.download({last.data, DType::kF32, {1}}, &value); };
  std::vector<double> rounds;
  for (int round = 0; round < 5; ++round) {
    operation();
    wait();
    const double start = now_s();
    for (int i = 0; i < repeats; ++i) operation();
    wait();
    rounds.push_back((now_s() - start) / repeats);
  }
  return median(rounds);
}

// Copy: rows of 32 KiB from one gigabyte to another, bytes read and written. Peak: an 8192^3 product of random bf16.
Machine measure_machine(Backend& backend) {
  Machine machine;
  {
    constexpr std::int64_t kRows = 32768, kCols = 8192;
    const DeviceTensor from = random_matrix(backend, kRows, kCols, DType::kF32);
    DeviceTensor to;
    to.resize(backend, {kRows, kCols});
    std::vector<std::int32_t> rows(kRows);
    std::iota(rows.begin(), rows.end(), 0);
    const double s = seconds_of(backend, to.view(), 10, [&] { backend.gather_rows(from.view(), rows, to.view()); });
    machine.copy_bytes_per_s = 2.0 * kRows * kCols * 4 / s;
  }
  constexpr std::int64_t kSize = 8192;
  const DeviceTensor x = random_matrix(backend, kSize, kSize, backend.activation_dtype());
  std::vector<bf16> weight(kSize * kSize);
  backend.download(x.view(), weight.data());
  const HostTensor matrix{"peak", DType::kBf16, {kSize, kSize}, std::as_bytes(std::span(weight))};
  const auto w = backend.make_linear({&matrix, 1}, {}, WeightFormat::kBf16);
  DeviceTensor y;
  y.resize(backend, {kSize, kSize}, backend.activation_dtype());
  const double s = seconds_of(backend, y.view(), 10, [&] { backend.linear(x.view(), *w, y.view(), {}); });
  machine.flops_per_s = 2.0 * kSize * kSize * kSize / s;
  return machine;
}

// The best of three runs after one that makes memory, plans and graphs.
StageTimes best_run(Workload& workload, int n_clips, double clip_s) {
  workload.run(n_clips, clip_s);
  StageTimes best;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const StageTimes times = workload.run(n_clips, clip_s);
    if (repeat == 0 || times.total() < best.total()) best = times;
  }
  return best;
}

void print_offline(Workload& workload, const char* title, double clip_s, const std::vector<int>& batches,
                   int per_clip) {
  std::printf("\n%s\n\n", title);
  std::printf("| clips | log-mel + encoder ms | prefill ms | decode ms | total ms | audio s/s | tokens/s |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (int n : batches) {
    const StageTimes best = best_run(workload, n * per_clip, clip_s);
    const double audio_s = n * per_clip * clip_s, total = best.total();
    std::printf("| %d | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f |\n", n, best.encoder * 1e3, best.prefill * 1e3,
                best.decode * 1e3, total * 1e3, audio_s / total, audio_s * kTokensPerSecond / total);
    std::fflush(stdout);
  }
}

struct FirstToken {
  double p50_s, p95_s;
};

FirstToken measure_first_token(Workload& workload) {
  workload.first_token_s(10);
  std::vector<double> times;
  for (int repeat = 0; repeat < 40; ++repeat) times.push_back(workload.first_token_s(10));
  std::sort(times.begin(), times.end());
  return {times[20], times[38]};
}

void print_first_token(Workload& workload) {
  const FirstToken first = measure_first_token(workload);
  std::printf("\nfirst token of a 10 s clip: p50 %.2f ms, p95 %.2f ms\n", first.p50_s * 1e3, first.p95_s * 1e3);
}

// FLOP/s of the encoder's products alone, over 128 clips of 30 s.
double encoder_product_flops(Backend& backend, const Workload& workload) {
  double flops = 0, seconds = 0;
  for (const ProductShape& p : workload.encoder_products(128, 30)) {
    const DeviceTensor x = random_matrix(backend, p.rows, p.in, backend.activation_dtype());
    std::vector<bf16> weight(static_cast<std::size_t>(p.out * p.in));
    backend.download({x.view().data, DType::kBf16, {std::min(p.rows * p.in, p.out * p.in)}}, weight.data());
    const HostTensor matrix{"product", DType::kBf16, {p.out, p.in}, std::as_bytes(std::span(weight))};
    const auto w = backend.make_linear({&matrix, 1}, {}, WeightFormat::kBf16);
    DeviceTensor y;
    y.resize(backend, {p.rows, p.out}, backend.activation_dtype());
    const auto n_times = static_cast<double>(p.n_times);
    seconds += n_times * seconds_of(backend, y.view(), 10, [&] { backend.linear(x.view(), *w, y.view(), {}); });
    flops += n_times * 2.0 * static_cast<double>(p.rows) * static_cast<double>(p.out) * static_cast<double>(p.in);
  }
  return flops / seconds;
}

double decode_bytes(const Workload& workload, int n_sequences, int n_positions) {
  return workload.decode_weight_bytes() + workload.kv_bytes_per_position() * n_sequences * n_positions;
}

void print_value(const char* name, double value) {
  std::printf("%s %.6g\n", name, value);
  std::fflush(stdout);
}

void print_encoder(Workload& workload, const Machine& machine) {
  std::printf("\n| encoder | log-mel ms | encoder ms | TFLOP/s | of the peak |\n|---|---|---|---|---|\n");
  for (int n : {1, 8, 128}) {
    const double log_mel_s = workload.log_mel_s(n, 30), s = workload.encoder_s(n, 30);
    const double flops = 2 * workload.encoder_macs_per_second() * n * 30 / s;
    std::printf("| %d x 30 s | %.1f | %.1f | %.0f | %.0f %% |\n", n, log_mel_s * 1e3, s * 1e3, flops * 1e-12,
                100 * flops / machine.flops_per_s);
  }
}

void print_decode_steps(Workload& workload, const Machine& machine) {
  std::printf("\n| decode step | ms | GB read | of the copy bandwidth |\n|---|---|---|---|\n");
  struct Step {
    int n_sequences, n_positions;
  };
  for (const Step& step :
       {Step{1, 460}, {1, 1780}, {4, 460}, {8, 460}, {16, 460}, {32, 460}, {128, 460}, {128, 1780}, {512, 460}}) {
    const double s = workload.decode_step_s(step.n_sequences, step.n_positions, 40);
    const double bytes = decode_bytes(workload, step.n_sequences, step.n_positions);
    std::printf("| %d x %d positions | %.3f | %.2f | %.0f %% |\n", step.n_sequences, step.n_positions, s * 1e3,
                bytes * 1e-9, 100 * bytes / s / machine.copy_bytes_per_s);
    std::fflush(stdout);
  }
}

// Every stage once, for a profiler.
void run_for_profile(Workload& workload) {
  workload.run(32, 30.0, 2);
  workload.decode_step_s(128, 460, 1);
  workload.decode_step_s(1, 460, 1);
}

enum class Scope { kOneRate, kRates, kAll };

// What bars.py puts beside the goals.
void print_bars(Workload& workload, Backend& backend, const Machine& machine, Scope scope) {
  const auto rate = [&](int n_clips, double clip_s) {
    return n_clips * clip_s / best_run(workload, n_clips, clip_s).total();
  };
  print_value("clips30_128", rate(128, 30));
  if (scope == Scope::kOneRate) return;
  if (scope == Scope::kRates) {
    print_value("single_whole", rate(1, 120));
    print_value("whole_128", rate(128, 120));
    return;
  }
  const FirstToken first = measure_first_token(workload);
  print_value("first_token_p50_ms", first.p50_s * 1e3);
  print_value("first_token_p95_ms", first.p95_s * 1e3);
  print_value("single_segments", rate(4, 30));
  print_value("single_whole", rate(1, 120));
  const StageTimes segments = best_run(workload, 512, 30);
  print_value("segments_128", 128 * 120 / segments.total());
  print_value("log_mel_percent", 100 * workload.log_mel_kernels_s(512, 30) / segments.total());
  print_value("whole_128", rate(128, 120));
  print_value("encoder_products_percent", 100 * encoder_product_flops(backend, workload) / machine.flops_per_s);
  const double encoder_s = workload.encoder_s(128, 30);
  print_value("encoder_percent", 200 * workload.encoder_macs_per_second() * 128 * 30 / encoder_s / machine.flops_per_s);
  const double step_s = workload.decode_step_s(128, 460, 40);
  print_value("decode_percent", 100 * decode_bytes(workload, 128, 460) / step_s / machine.copy_bytes_per_s);
}

// Batches from one queue; a thread per GPU takes the next one when it is done.
double batches_per_second(const std::string& model, const Formats& formats, int n_gpus) {
  constexpr int kBatchesEach = 6;
  std::atomic<int> next = 0;
  std::barrier ready(n_gpus + 1);
  std::vector<std::unique_ptr<Backend>> backends;
  for (int gpu = 0; gpu < n_gpus; ++gpu) backends.push_back(make_cuda_backend(gpu));
  std::vector<std::jthread> threads;
  for (const auto& backend : backends) {
    threads.emplace_back([&, gpu = backend.get()] {
      Workload workload(*gpu, model, formats);
      for (int warm = 0; warm < 2; ++warm) workload.run(128, 30);
      ready.arrive_and_wait();
      while (next++ < kBatchesEach * n_gpus) workload.run(128, 30);
      ready.arrive_and_wait();
    });
  }
  ready.arrive_and_wait();
  const double start = now_s();
  ready.arrive_and_wait();
  return kBatchesEach * n_gpus / (now_s() - start);
}

void print_gpus(const std::string& model, const Formats& formats, int n_gpus) {
  const double one = batches_per_second(model, formats, 1), all = batches_per_second(model, formats, n_gpus);
  print_value("one_gpu", one * 128 * 30);
  print_value("all_gpus", all * 128 * 30);
  print_value("n_gpus", n_gpus);
  print_value("gpus_ratio", all / one);
}

struct Arguments {
  std::string model = "qwen3-asr-0.6b", mode = "all";
  Formats formats;
  int n_gpus = 1;
  std::string cache_dir = ".";  // of the synthetic checkpoint that `engine` writes
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  std::vector<std::string> words(argv + 1, argv + argc);
  int n_plain = 0;
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("--")) {
      (n_plain++ == 0 ? arguments.model : arguments.mode) = word;
      continue;
    }
    if (i + 1 == words.size()) fail(word + " needs a value");
    const std::string& value = words[++i];
    if (word == "--weights" && (value == "bf16" || value == "q8" || value == "fp8")) {
      arguments.formats.weights = value == "q8"    ? WeightFormat::kQ8
                                  : value == "fp8" ? WeightFormat::kFp8
                                                   : WeightFormat::kBf16;
    } else if (word == "--kv-cache" && (value == "bf16" || value == "fp8")) {
      arguments.formats.kv_cache = value == "fp8" ? DType::kF8E4M3 : DType::kBf16;
    } else if (word == "--gpus") {
      arguments.n_gpus = std::stoi(value);
    } else if (word == "--cache-dir") {
      arguments.cache_dir = value;
    } else {
      fail(word + " " + value + ": expected --weights bf16|q8|fp8, --kv-cache bf16|fp8, --gpus N or --cache-dir DIR");
    }
  }
  return arguments;
}

void print_tables(Workload& workload, const Machine& machine, const std::string& mode) {
  print_encoder(workload, machine);
  print_decode_steps(workload, machine);
  if (mode == "steps") return;
  print_first_token(workload);
  const bool quick = mode == "quick";
  const std::vector<int> batches =
      quick ? std::vector<int>{1, 128} : std::vector<int>{1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  print_offline(workload, "30 s clips", 30, batches, 1);
  print_offline(workload, "2-minute clips, each as four segments of 30 s", 30, {1, 128}, 4);
  print_offline(workload, "2-minute clips as one sequence", 120,
                quick ? std::vector<int>{1, 128} : std::vector<int>{1, 8, 32, 128}, 1);
}

int run(const Arguments& arguments) {
  const std::string& mode = arguments.mode;
  if (mode == "gpus") {
    print_gpus(arguments.model, arguments.formats, arguments.n_gpus);
    return 0;
  }
  if (mode == "engine") {
    print_engine_rates(arguments.model, arguments.formats, arguments.n_gpus, arguments.cache_dir);
    return 0;
  }
  const auto backend = make_cuda_backend(0);
  if (mode == "profile" || mode == "single" || mode == "choices") {
    Workload workload(*backend, arguments.model, arguments.formats);
    if (mode == "choices") {
      print_recorded_encoder(workload);
      print_sampling(workload);
    }
    if (mode == "profile") run_for_profile(workload);
    for (int clip = 0; mode == "single" && clip < 60; ++clip) workload.run(1, 30);
    return 0;
  }
  if (mode != "all" && mode != "quick" && mode != "bars" && mode != "steps") {
    throw Error(ErrorCode::kInvalidArgument,
                "mode " + mode + ": expected all, quick, steps, bars, gpus, engine, choices, single or profile");
  }
  const Machine machine = measure_machine(*backend);
  const double start = now_s();
  Workload workload(*backend, arguments.model, arguments.formats);
  if (mode == "bars") {
    print_value("copy_tb_s", machine.copy_bytes_per_s * 1e-12);
    print_value("peak_tflops", machine.flops_per_s * 1e-12);
    const bool by_default =
        arguments.formats.weights == WeightFormat::kAuto && arguments.formats.kv_cache == DType::kBf16;
    print_bars(workload, *backend, machine,
               arguments.model != "qwen3-asr-0.6b" ? Scope::kOneRate
               : by_default                        ? Scope::kAll
                                                   : Scope::kRates);
    return 0;
  }
  std::printf("%s, %s\n%s: copy %.2f TB/s, bf16 product %.0f TFLOP/s\n", arguments.model.c_str(), mode.c_str(),
              backend->description().c_str(), machine.copy_bytes_per_s * 1e-12, machine.flops_per_s * 1e-12);
  std::printf("weights made and uploaded in %.1f s\n", now_s() - start);
  print_tables(workload, machine, mode);
  return 0;
}

}  // namespace
}  // namespace qasr::bench

int main(int argc, char** argv) {
  try {
    return qasr::bench::run(qasr::bench::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_bench: %s\n", error.what());
    return 1;
  }
}
