// load_audio: bytes -> frames (AudioReader) -> mono (MonoMixer) -> 16 kHz (Resampler) -> range check. Hop 1 of the
// walk. Timestamps are ignored: frames are joined in the order they come.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <new>
#include <optional>

#include "audio/audio_reader.h"
#include "audio/byte_source.h"
#include "audio/ffmpeg_silence.h"
#include "audio/input_error.h"
#include "audio/mono_mixer.h"
#include "audio/resampler.h"
#include "qasr/audio.h"

namespace qasr {
namespace {

// A header may round or count encoder padding; less than this is not reported as missing.
constexpr double kShortfallS = 0.25;

std::string seconds_text(double s) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f s", s);
  return text;
}

std::vector<std::string> collect_warnings(const AudioReader& reader, const MonoMixer& mixer) {
  std::vector<std::string> warnings;
  const double decoded_s = reader.decoded_s();
  if (reader.n_damaged_packets() > 0) {
    warnings.push_back("damaged packets: " + std::to_string(reader.n_damaged_packets()) + ", the first after " +
                       seconds_text(reader.first_damage_s()));
  }
  if (!reader.stop_reason().empty()) {
    warnings.push_back("reading stopped after " + seconds_text(decoded_s) + ": " + reader.stop_reason());
  }
  if (decoded_s + kShortfallS < reader.declared_s()) {
    warnings.push_back("the header declares " + seconds_text(reader.declared_s()) + " but only " +
                       seconds_text(decoded_s) + " could be decoded; the file may be truncated");
  }
  if (mixer.n_not_finite() > 0) {
    warnings.push_back("samples that were NaN or infinite and became 0: " + std::to_string(mixer.n_not_finite()));
  }
  return warnings;
}

// The official rule: loud recordings are divided by their peak, quiet ones are left as they are.
void limit_to_unit(std::vector<float>& samples) {
  float peak = 0.0f;
  for (float& x : samples) {
    if (!std::isfinite(x)) x = 0.0f;  // the resampler can overflow next to values near the largest float
    peak = std::max(peak, std::abs(x));
  }
  if (peak <= 1.0f) return;
  for (float& x : samples) x = std::clamp(x / peak, -1.0f, 1.0f);
}

Audio decode(const ByteSource& source, const std::string& name) {
  const FfmpegSilence silence;
  AudioReader reader(source, name);
  MonoMixer mixer;
  std::optional<Resampler> resampler;
  Audio audio;
  std::vector<float> mono;
  while (const AVFrame* frame = reader.next()) {
    if (!resampler || resampler->input_rate() != frame->sample_rate) {
      if (resampler) resampler->finish(audio.samples);
      resampler.emplace(frame->sample_rate);
    }
    if (!mixer.mix(*frame, mono)) {
      throw_input_error(name, "sample format " + std::to_string(frame->format), "8 to 64 bit integers or floats");
    }
    resampler->push(mono, audio.samples);
  }
  if (resampler) resampler->finish(audio.samples);
  audio.warnings = collect_warnings(reader, mixer);
  if (audio.samples.empty()) {
    throw_input_error(name,
                      "no sample that can be decoded" + (audio.warnings.empty() ? "" : " (" + audio.warnings[0] + ")"),
                      "audio");
  }
  limit_to_unit(audio.samples);
  return audio;
}

template <typename MakeSource>
Audio decode_from(const MakeSource& make_source, const std::string& name) {
  try {
    return decode(*make_source(), name);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "audio: the decoded samples do not fit into memory, in " + name);
  }
}

}  // namespace

Audio load_audio(const std::filesystem::path& path) {
  return decode_from([&] { return file_source(path); }, path.string());
}

Audio load_audio(std::span<const std::byte> bytes, const std::string& name) {
  return decode_from([&] { return memory_source(bytes); }, name);
}

Audio load_audio(const std::function<std::size_t(std::span<std::byte>)>& read, const std::string& name) {
  return decode_from([&] { return stream_source(read); }, name);
}

}  // namespace qasr
