// Audio of Realtime messages: base64 -> bytes -> samples. PCM16 little-endian, or G.711 (ITU-T recommendation, 8 kHz).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qasr::server {

enum class AudioCodec { kPcm16, kMuLaw, kALaw };

/// Standard alphabet, padding optional, nothing else in it; nothing if it is not base64.
std::optional<std::string> decode_base64(std::string_view text);

float mu_law_sample(std::uint8_t code) noexcept;
float a_law_sample(std::uint8_t code) noexcept;

/// Bytes -> samples in [-1, 1]. Half a PCM sample at the end waits in `carry` for the next bytes.
class AudioDecoder {
 public:
  explicit AudioDecoder(AudioCodec codec) : codec_(codec) {}
  std::vector<float> decode(std::string_view bytes);
  void reset() { carry_.reset(); }

 private:
  AudioCodec codec_;
  std::optional<std::uint8_t> carry_;
};

}  // namespace qasr::server
