// The filter's numbers. libswresample's length is in input samples at the lower of the two rates, so with L = 176 and
// a Kaiser window of beta 12 (118 dB) the transition is (118 - 8) / (14.36 * 176) = 4.35 % of that rate wide: 0.70 kHz
// at 16 kHz. Its middle is put at 95.65 % of 8 kHz so that it ends at 8 kHz. (The defaults, L = 32 and beta 9, would
// pass what lies up to 9.1 kHz.) The official package resamples with soxr's "HQ" recipe, whose pass band ends at 91.3
// %.
#include "audio/resampler.h"

extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
}

#include <algorithm>

#include "base/check.h"
#include "qasr/audio.h"

namespace qasr {
namespace {

constexpr int kFilterSize = 176;
constexpr double kCutoff = 0.9565;
constexpr double kKaiserBeta = 12;
constexpr std::size_t kMaxChunkSamples = 1 << 16;

FfmpegPtr<SwrContext> make_swr(int input_rate) {
  AVChannelLayout mono = {};
  av_channel_layout_default(&mono, 1);
  SwrContext* context = nullptr;
  const int result = swr_alloc_set_opts2(&context, &mono, AV_SAMPLE_FMT_FLT, kSampleRate, &mono, AV_SAMPLE_FMT_FLT,
                                         input_rate, 0, nullptr);
  FfmpegPtr<SwrContext> swr = own(context);
  QASR_CHECK(result >= 0);
  QASR_CHECK(av_opt_set_int(context, "filter_size", kFilterSize, 0) >= 0);
  QASR_CHECK(av_opt_set_double(context, "cutoff", kCutoff, 0) >= 0);
  QASR_CHECK(av_opt_set_double(context, "kaiser_beta", kKaiserBeta, 0) >= 0);
  // Rates whose ratio needs more than 1,024 phases are interpolated between neighbouring ones.
  QASR_CHECK(av_opt_set_int(context, "linear_interp", 1, 0) >= 0);
  QASR_CHECK_MSG(swr_init(context) >= 0, "resampling from " + std::to_string(input_rate) + " Hz");
  return swr;
}

}  // namespace

Resampler::Resampler(int input_rate) : input_rate_(input_rate) {
  if (input_rate != kSampleRate) swr_ = make_swr(input_rate);
}

void Resampler::push(std::span<const float> samples, std::vector<float>& out) {
  n_input_ += samples.size();
  if (!swr_) {
    out.insert(out.end(), samples.begin(), samples.end());
    return;
  }
  while (!samples.empty()) {
    const std::size_t n = std::min(samples.size(), kMaxChunkSamples);
    convert(samples.data(), static_cast<int>(n), out);
    samples = samples.subspan(n);
  }
}

void Resampler::finish(std::vector<float>& out) {
  if (!swr_ || n_input_ == 0) return;
  convert(nullptr, 0, out);
  // The filter's tail ends within a few samples of the exact length.
  const std::uint64_t exact = (n_input_ * kSampleRate + input_rate_ - 1) / input_rate_;
  out.resize(out.size() - n_output_ + exact, 0.0f);
  n_output_ = exact;
}

void Resampler::convert(const float* samples, int n_samples, std::vector<float>& out) {
  for (;;) {
    const int room = std::max(swr_get_out_samples(swr_.get(), n_samples), 1);
    const std::size_t n_before = out.size();
    out.resize(n_before + static_cast<std::size_t>(room));
    auto* target = reinterpret_cast<std::uint8_t*>(out.data() + n_before);
    const auto* source = reinterpret_cast<const std::uint8_t*>(samples);
    const int n = swr_convert(swr_.get(), &target, room, samples != nullptr ? &source : nullptr, n_samples);
    QASR_CHECK_MSG(n >= 0, "swr_convert: " + ffmpeg_error_text(n));
    out.resize(n_before + static_cast<std::size_t>(n));
    n_output_ += static_cast<std::uint64_t>(n);
    if (n < room || samples != nullptr) return;
  }
}

}  // namespace qasr
