// Log-mel in blocks of 16 frames: power spectra and mel energies of a block stay in the first-level cache as
// [bin, frame] and [mel, frame], so that the mel product and the logarithms run over neighbouring frames.
#include "audio/log_mel.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <string>

#include "audio/log10.h"
#include "audio/mel_filterbank.h"
#include "audio/stft.h"
#include "base/check.h"

namespace qasr {
namespace {

constexpr int kBlock = MelFilterbank::kBlockFrames;
constexpr float kEnergyFloor = 1e-10f;
constexpr float kDynamicRangeDecades = 8.0f;

const LogMelConfig& checked(const LogMelConfig& config) {
  const auto require = [](bool holds, const char* name, int found, const std::string& expected) {
    if (holds) return;
    throw Error(ErrorCode::kInvalidArgument,
                std::string("log-mel: ") + name + " is " + std::to_string(found) + ", expected " + expected);
  };
  require(config.sample_rate > 0, "sample_rate", config.sample_rate, "> 0");
  require(config.n_mels > 0, "n_mels", config.n_mels, "> 0");
  require(config.hop_samples > 0, "hop_samples", config.hop_samples, "> 0");
  require(config.window_samples > 0 && config.window_samples % 2 == 0, "window_samples", config.window_samples,
          "an even number > 0");
  require(config.fft_samples >= config.window_samples && config.fft_samples % 2 == 0, "fft_samples", config.fft_samples,
          "an even number >= window_samples (" + std::to_string(config.window_samples) + ")");
  return config;
}

// values[f] = log10(max(values[f], floor)); maxima[f] = max(maxima[f], values[f]).
void take_logarithms(float* values, float* maxima) noexcept {
  for (int frame = 0; frame < kBlock; ++frame) {
    const float energy = values[frame] > kEnergyFloor ? values[frame] : kEnergyFloor;
    const float value = log10_positive(energy);
    values[frame] = value;
    maxima[frame] = maxima[frame] > value ? maxima[frame] : value;
  }
}

}  // namespace

struct LogMel::Impl {
  // Work buffers of one running compute().
  struct Scratch {
    explicit Scratch(const Impl& impl)
        : stft(impl.stft),
          power(static_cast<std::size_t>(impl.filterbank.n_bins()) * kBlock),
          energies(static_cast<std::size_t>(impl.filterbank.n_mels()) * kBlock) {}
    Stft::Scratch stft;
    std::vector<float> power;     // [n_bins, kBlock]
    std::vector<float> energies;  // [n_mels, kBlock]
  };

  explicit Impl(const LogMelConfig& c)
      : config(checked(c)),
        stft(config.window_samples, config.hop_samples, config.fft_samples),
        filterbank(config.sample_rate, config.n_mels, config.fft_samples) {}

  std::unique_ptr<Scratch> borrow_scratch() {
    {
      const std::lock_guard lock(pool_mutex);
      if (!pool.empty()) {
        std::unique_ptr<Scratch> scratch = std::move(pool.back());
        pool.pop_back();
        return scratch;
      }
    }
    return std::make_unique<Scratch>(*this);
  }

  void return_scratch(std::unique_ptr<Scratch> scratch) {
    const std::lock_guard lock(pool_mutex);
    pool.push_back(std::move(scratch));
  }

  // Logarithms of frames [first, first + n_block) into columns of out, whose first is frame `origin`; returns their
  // maximum.
  float compute_block(std::span<const float> samples, int first, int n_block, int origin, Scratch& scratch,
                      LogMelSpectrogram& out) const noexcept;
  // Logarithms of all frames from `origin` on; returns their maximum.
  float compute_logs(std::span<const float> samples, int origin, LogMelSpectrogram& out);

  LogMelConfig config;
  Stft stft;
  MelFilterbank filterbank;
  std::mutex pool_mutex;
  std::vector<std::unique_ptr<Scratch>> pool;  // guarded by pool_mutex
};

float LogMel::Impl::compute_block(std::span<const float> samples, int first, int n_block, int origin, Scratch& scratch,
                                  LogMelSpectrogram& out) const noexcept {
  for (int frame = 0; frame < n_block; ++frame) {
    stft.power(samples, first + frame, scratch.stft, scratch.power.data() + frame, kBlock);
  }
  filterbank.apply(scratch.power.data(), scratch.energies.data());

  float maxima[kBlock];
  std::fill_n(maxima, kBlock, -std::numeric_limits<float>::infinity());
  for (int mel = 0; mel < out.n_mels; ++mel) {
    float* energies = scratch.energies.data() + static_cast<std::size_t>(mel) * kBlock;
    take_logarithms(energies, maxima);
    std::copy_n(energies, n_block, out.values.data() + static_cast<std::size_t>(mel) * out.n_frames + (first - origin));
  }
  return *std::max_element(maxima, maxima + n_block);  // columns past n_block hold an earlier block's frames
}

LogMel::LogMel(const LogMelConfig& config) : impl_(std::make_unique<Impl>(config)) {}
LogMel::~LogMel() = default;
LogMel::LogMel(LogMel&&) noexcept = default;
LogMel& LogMel::operator=(LogMel&&) noexcept = default;

const LogMelConfig& LogMel::config() const { return impl_->config; }

std::vector<float> LogMel::window() const { return {impl_->stft.window().begin(), impl_->stft.window().end()}; }

std::vector<float> LogMel::filterbank() const {
  std::vector<float> weights;
  for (int mel = 0; mel < impl_->filterbank.n_mels(); ++mel) {
    for (int bin = 0; bin < impl_->filterbank.n_bins(); ++bin) weights.push_back(impl_->filterbank.weight(bin, mel));
  }
  return weights;
}

int LogMel::n_frames(std::size_t n_samples) const {
  const std::size_t n = n_samples / static_cast<std::size_t>(impl_->config.hop_samples);
  QASR_CHECK(n <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(n);
}

float LogMel::Impl::compute_logs(std::span<const float> samples, int origin, LogMelSpectrogram& out) {
  const int n_frames = static_cast<int>(samples.size() / static_cast<std::size_t>(config.hop_samples));
  out.n_mels = config.n_mels;
  out.n_frames = std::max(0, n_frames - origin);
  out.values.resize(static_cast<std::size_t>(out.n_mels) * static_cast<std::size_t>(out.n_frames));
  float maximum = -std::numeric_limits<float>::infinity();
  if (out.n_frames == 0) return maximum;
  std::unique_ptr<Scratch> scratch = borrow_scratch();
  for (int first = origin; first < n_frames; first += kBlock) {
    const int n_block = std::min(kBlock, n_frames - first);
    maximum = std::max(maximum, compute_block(samples, first, n_block, origin, *scratch, out));
  }
  return_scratch(std::move(scratch));
  return maximum;
}

void LogMel::compute(std::span<const float> samples, LogMelSpectrogram& out) const {
  QASR_CHECK(n_frames(samples.size()) >= 0);  // it fits an int
  const float maximum = impl_->compute_logs(samples, 0, out);
  clamp_and_scale(out.values, clamp_floor(maximum));
}

void LogMel::compute_logs(std::span<const float> samples, int first_frame, LogMelSpectrogram& out) const {
  QASR_CHECK(first_frame >= 0 && n_frames(samples.size()) >= 0);
  impl_->compute_logs(samples, first_frame, out);
}

float LogMel::clamp_floor(float maximum) noexcept { return maximum - kDynamicRangeDecades; }

void LogMel::clamp_and_scale(std::span<float> values, float floor) noexcept {
  for (float& value : values) value = ((value > floor ? value : floor) + 4.0f) * 0.25f;
}

}  // namespace qasr
