// WAV files in memory, well-formed or not, for tests of decoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace qasr {

struct WavHeader {
  std::uint16_t format_tag = 1;  // 1 PCM, 3 IEEE float
  std::uint16_t n_channels = 1;
  std::uint32_t sample_rate = 16000;
  std::uint16_t bits = 16;
};

/// `payload` is written as it stands; little-endian hosts only, as everything here.
inline std::vector<std::byte> wav_bytes(const WavHeader& header, std::span<const std::byte> payload) {
  std::vector<std::byte> file;
  const auto text = [&](const char* four) {
    for (int i = 0; i < 4; ++i) file.push_back(static_cast<std::byte>(four[i]));
  };
  const auto number = [&](auto value) {
    std::byte bytes[sizeof(value)];
    std::memcpy(bytes, &value, sizeof(value));
    file.insert(file.end(), bytes, bytes + sizeof(value));
  };
  const std::uint16_t frame_bytes = static_cast<std::uint16_t>(header.n_channels * header.bits / 8);
  text("RIFF");
  number(static_cast<std::uint32_t>(36 + payload.size()));
  text("WAVE");
  text("fmt ");
  number(std::uint32_t{16});
  number(header.format_tag);
  number(header.n_channels);
  number(header.sample_rate);
  number(static_cast<std::uint32_t>(header.sample_rate * frame_bytes));
  number(frame_bytes);
  number(header.bits);
  text("data");
  number(static_cast<std::uint32_t>(payload.size()));
  file.insert(file.end(), payload.begin(), payload.end());
  return file;
}

/// Interleaved samples of type u8, s16, s32, f32 or f64; bits and format tag follow from the type.
template <typename Sample>
std::vector<std::byte> wav_of(const std::vector<Sample>& interleaved, int n_channels = 1, int sample_rate = 16000) {
  return wav_bytes({.format_tag = static_cast<std::uint16_t>(std::is_floating_point_v<Sample> ? 3 : 1),
                    .n_channels = static_cast<std::uint16_t>(n_channels),
                    .sample_rate = static_cast<std::uint32_t>(sample_rate),
                    .bits = 8 * sizeof(Sample)},
                   std::as_bytes(std::span(interleaved)));
}

}  // namespace qasr
