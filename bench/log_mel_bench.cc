// Speed of the log-mel front end in seconds of audio per second (the counter "x_real_time"), and of its first stage.
//
//   build/release/bench/log_mel_bench
#include <benchmark/benchmark.h>

#include "../tests/support/test_signals.h"
#include "audio/log_mel.h"
#include "audio/stft.h"

namespace {

void set_speed(benchmark::State& state, double seconds) {
  state.counters["x_real_time"] =
      benchmark::Counter(seconds * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

// Arguments: length in seconds, transform length.
void log_mel(benchmark::State& state) {
  const auto seconds = static_cast<std::size_t>(state.range(0));
  const std::vector<float> samples = qasr::tones_signal(seconds * 16000);
  const qasr::LogMel front_end({.fft_samples = static_cast<int>(state.range(1))});
  qasr::LogMelSpectrogram out;
  for (auto _ : state) {
    front_end.compute(samples, out);
    benchmark::DoNotOptimize(out.values.data());
  }
  set_speed(state, static_cast<double>(seconds));
}
BENCHMARK(log_mel)->Args({1, 400})->Args({30, 400})->Args({30, 512})->Unit(benchmark::kMillisecond);

// Frames, window and Fourier transform only.
void stft(benchmark::State& state) {
  const std::vector<float> samples = qasr::tones_signal(30 * 16000);
  const qasr::Stft transform(400, 160, 400);
  qasr::Stft::Scratch scratch(transform);
  std::vector<float> power(transform.n_bins());
  for (auto _ : state) {
    for (int frame = 0; frame < 3000; ++frame) transform.power(samples, frame, scratch, power.data(), 1);
    benchmark::DoNotOptimize(power.data());
  }
  set_speed(state, 30);
}
BENCHMARK(stft)->Unit(benchmark::kMillisecond);

}  // namespace
