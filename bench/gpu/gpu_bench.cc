// Speed of one GPU on models of the true sizes with synthetic weights, beside what the GPU can do at all. Prints the
// tables of docs/performance-gpu.md.
//
//   gpu_bench [qwen3-asr-0.6b | qwen3-asr-1.7b] [all | quick | single | profile]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "backend/registry.h"
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

void print_offline(Workload& workload, const char* title, double clip_s, const std::vector<int>& batches,
                   int per_clip) {
  std::printf("\n%s\n\n", title);
  std::printf("| clips | log-mel + encoder ms | prefill ms | decode ms | total ms | audio s/s | tokens/s |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (int n : batches) {
    workload.run(n * per_clip, clip_s);  // warm-up: memory, plans, graphs
    StageTimes best;
    for (int repeat = 0; repeat < 3; ++repeat) {
      const StageTimes times = workload.run(n * per_clip, clip_s);
      if (repeat == 0 || times.total() < best.total()) best = times;
    }
    const double audio_s = n * per_clip * clip_s, total = best.total();
    std::printf("| %d | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f |\n", n, best.encoder * 1e3, best.prefill * 1e3,
                best.decode * 1e3, total * 1e3, audio_s / total, audio_s * kTokensPerSecond / total);
    std::fflush(stdout);
  }
}

void print_first_token(Workload& workload) {
  workload.first_token_s(10);
  std::vector<double> times;
  for (int repeat = 0; repeat < 40; ++repeat) times.push_back(workload.first_token_s(10));
  std::sort(times.begin(), times.end());
  std::printf("\nfirst token of a 10 s clip: p50 %.2f ms, p95 %.2f ms\n", times[20] * 1e3, times[38] * 1e3);
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
    const double bytes =
        workload.decode_weight_bytes() + workload.kv_bytes_per_position() * step.n_sequences * step.n_positions;
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

int run(const std::string& model, const std::string& mode) {
  const auto backend = make_cuda_backend(0);
  if (mode == "profile") {
    Workload workload(*backend, model);
    run_for_profile(workload);
    return 0;
  }
  if (mode == "single") {  // one clip after the other, to look at the memory from outside
    Workload workload(*backend, model);
    for (int clip = 0; clip < 40; ++clip) workload.run(1, 30);
    return 0;
  }
  const bool quick = mode == "quick";
  const Machine machine = measure_machine(*backend);
  std::printf("%s, %s\n%s: copy %.2f TB/s, bf16 product %.0f TFLOP/s\n", model.c_str(), mode.c_str(),
              backend->description().c_str(), machine.copy_bytes_per_s * 1e-12, machine.flops_per_s * 1e-12);
  const double start = now_s();
  Workload workload(*backend, model);
  std::printf("weights made and uploaded in %.1f s\n", now_s() - start);
  print_first_token(workload);
  print_encoder(workload, machine);
  print_decode_steps(workload, machine);
  const std::vector<int> batches = quick ? std::vector<int>{1, 128} : std::vector<int>{1, 2, 4, 8, 16, 32, 64, 128};
  print_offline(workload, "30 s clips", 30, batches, 1);
  print_offline(workload, "2-minute clips, each as four segments of 30 s", 30, {1, 128}, 4);
  if (!quick) print_offline(workload, "2-minute clips as one sequence", 120, {1, 32, 128}, 1);
  return 0;
}

}  // namespace
}  // namespace qasr::bench

int main(int argc, char** argv) {
  try {
    return qasr::bench::run(argc > 1 ? argv[1] : "qwen3-asr-0.6b", argc > 2 ? argv[2] : "all");
  } catch (const qasr::Error& error) {
    std::fprintf(stderr, "gpu_bench: %s\n", error.what());
    return 1;
  }
}
