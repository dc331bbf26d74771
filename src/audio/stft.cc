// Framing, window and real FFT (KissFFT) of the STFT.
#include "audio/stft.h"

#include <kiss_fftr.h>

#include <cmath>
#include <new>
#include <numbers>
#include <type_traits>

#include "base/check.h"

namespace qasr {

static_assert(std::is_same_v<kiss_fft_scalar, float>);
static_assert(sizeof(kiss_fft_cpx) == sizeof(std::complex<float>));

std::size_t reflect_index(std::ptrdiff_t index, std::size_t n) noexcept {
  if (n == 1) return 0;
  const auto period = static_cast<std::ptrdiff_t>(2 * (n - 1));
  std::ptrdiff_t folded = index % period;
  if (folded < 0) folded += period;
  return static_cast<std::size_t>(folded < static_cast<std::ptrdiff_t>(n) ? folded : period - folded);
}

std::vector<float> periodic_hann(int n) {
  std::vector<float> window(n);
  for (int i = 0; i < n; ++i) window[i] = static_cast<float>(0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * i / n));
  return window;
}

void Stft::Scratch::PlanDeleter::operator()(kiss_fftr_state* plan) const noexcept { kiss_fftr_free(plan); }

Stft::Scratch::Scratch(const Stft& stft)
    : plan_(kiss_fftr_alloc(stft.fft_samples(), /*inverse_fft=*/0, nullptr, nullptr)),
      frame_(stft.fft_samples()),
      spectrum_(stft.n_bins()) {
  if (!plan_) throw std::bad_alloc();
}

Stft::Stft(int window_samples, int hop_samples, int fft_samples)
    : hop_samples_(hop_samples), fft_samples_(fft_samples), window_(periodic_hann(window_samples)) {
  QASR_CHECK(window_samples > 0 && window_samples % 2 == 0 && hop_samples > 0);
  QASR_CHECK(fft_samples >= window_samples && fft_samples % 2 == 0);
}

void Stft::load_frame(std::span<const float> samples, int frame, float* out) const noexcept {
  const auto n_window = static_cast<std::ptrdiff_t>(window_.size());
  const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(frame) * hop_samples_ - n_window / 2;
  if (begin >= 0 && begin + n_window <= static_cast<std::ptrdiff_t>(samples.size())) {
    const float* x = samples.data() + begin;
    for (std::ptrdiff_t i = 0; i < n_window; ++i) out[i] = x[i] * window_[i];
    return;
  }
  for (std::ptrdiff_t i = 0; i < n_window; ++i) out[i] = samples[reflect_index(begin + i, samples.size())] * window_[i];
}

void Stft::power(std::span<const float> samples, int frame, Scratch& scratch, float* power,
                 std::size_t stride) const noexcept {
  load_frame(samples, frame, scratch.frame_.data());
  // std::complex<float> is laid out as the two floats of kiss_fft_cpx ([complex.numbers]).
  kiss_fftr(scratch.plan_.get(), scratch.frame_.data(), reinterpret_cast<kiss_fft_cpx*>(scratch.spectrum_.data()));
  const std::complex<float>* spectrum = scratch.spectrum_.data();
  for (int bin = 0; bin < n_bins(); ++bin) {
    const float re = spectrum[bin].real(), im = spectrum[bin].imag();
    power[bin * stride] = re * re + im * im;
  }
}

}  // namespace qasr
