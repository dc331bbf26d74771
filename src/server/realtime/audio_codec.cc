#include "server/realtime/audio_codec.h"

#include <array>

namespace qasr::server {
namespace {

constexpr float kFullScale = 32768;

constexpr std::array<std::int8_t, 256> make_base64_values() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t n = 0; n < kAlphabet.size(); ++n) {
    values[static_cast<unsigned char>(kAlphabet[n])] = static_cast<std::int8_t>(n);
  }
  return values;
}
constexpr auto kBase64 = make_base64_values();

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  const std::size_t n_padded = text.size();
  while (text.ends_with('=') && n_padded - text.size() < 2) text.remove_suffix(1);
  if (text.size() % 4 == 1 || (n_padded != text.size() && n_padded % 4 != 0)) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    const int value = kBase64[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(bits >> n_bits & 0xFF);
  }
  return bytes;
}

// Segment and mantissa of a logarithmic scale; the bits are sent inverted.
float mu_law_sample(std::uint8_t code) noexcept {
  const int value = ~code & 0xFF;
  const int magnitude = (((value & 0x0F) << 3) + 0x84) << ((value & 0x70) >> 4);
  const int sample = magnitude - 0x84;
  return static_cast<float>((value & 0x80) != 0 ? -sample : sample) / kFullScale;
}

// Every second bit is sent inverted.
float a_law_sample(std::uint8_t code) noexcept {
  const int value = code ^ 0x55;
  const int segment = (value & 0x70) >> 4;
  int magnitude = ((value & 0x0F) << 4) + 8;
  if (segment > 0) magnitude = (magnitude + 0x100) << (segment - 1);
  return static_cast<float>((value & 0x80) != 0 ? magnitude : -magnitude) / kFullScale;
}

std::vector<float> AudioDecoder::decode(std::string_view bytes) {
  std::vector<float> samples;
  if (codec_ != AudioCodec::kPcm16) {
    samples.reserve(bytes.size());
    for (const char c : bytes) {
      const auto code = static_cast<std::uint8_t>(c);
      samples.push_back(codec_ == AudioCodec::kMuLaw ? mu_law_sample(code) : a_law_sample(code));
    }
    return samples;
  }
  samples.reserve(bytes.size() / 2 + 1);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (!carry_) {
      carry_ = byte;
      continue;
    }
    const auto value = static_cast<std::int16_t>(static_cast<std::uint16_t>(*carry_ | byte << 8));
    samples.push_back(static_cast<float>(value) / kFullScale);
    carry_.reset();
  }
  return samples;
}

}  // namespace qasr::server
