// load_audio on several hundred mutated and truncated recordings: finite samples in [-1, 1] or Error(kInput), nothing
// else. Meant to be run with the address and undefined-behaviour sanitizers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "qasr/audio.h"
#include "qasr/error.h"
#include "support/audio_files.h"

namespace qasr {
namespace {

// xorshift32: deterministic, so that a failure can be repeated.
class Random {
 public:
  explicit Random(std::uint32_t seed) : state_(seed * 2654435761u + 1) {}
  std::uint32_t below(std::size_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_ % static_cast<std::uint32_t>(limit);
  }

 private:
  std::uint32_t state_;
};

// Damages the header more than the rest: that is where sizes, counts and offsets are.
std::vector<std::byte> mutate(std::vector<std::byte> bytes, std::uint32_t seed) {
  Random random(seed);
  const std::size_t header = std::min<std::size_t>(bytes.size(), 200);
  switch (seed % 5) {
    case 0:  // truncate
      bytes.resize(1 + random.below(bytes.size()));
      break;
    case 1:  // a few bytes of the header
      for (int i = 0; i < 3; ++i) bytes[random.below(header)] = static_cast<std::byte>(random.below(256));
      break;
    case 2:  // an extreme 32-bit field anywhere
      for (std::size_t i = 0, at = random.below(bytes.size()); i < 4 && at + i < bytes.size(); ++i) {
        bytes[at + i] = seed % 2 == 0 ? std::byte{0xff} : std::byte{0x00};
      }
      break;
    case 3:  // one byte in fifty
      for (std::size_t i = 0; i < bytes.size() / 50; ++i) {
        bytes[random.below(bytes.size())] = static_cast<std::byte>(random.below(256));
      }
      break;
    default: {  // a stretch is missing
      const std::size_t at = random.below(bytes.size());
      const std::size_t n = std::min<std::size_t>(bytes.size() - at, 1 + random.below(500));
      bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + n));
    }
  }
  return bytes;
}

// Returns whether anything could be decoded.
bool survives(const std::vector<std::byte>& bytes, const std::string& name) {
  try {
    const Audio audio = load_audio(bytes, name);
    EXPECT_FALSE(audio.samples.empty());
    for (float x : audio.samples) {
      if (!(std::abs(x) <= 1.0f)) {
        ADD_FAILURE() << "sample " << x;
        break;
      }
    }
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInput) << error.what();
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    return false;
  }
}

class HostileFiles : public testing::TestWithParam<const char*> {};

TEST_P(HostileFiles, GiveSamplesOrAnError) {
  constexpr std::uint32_t kVariants = 40;
  const std::vector<std::byte> original = read_bytes(audio_file(GetParam()));
  ASSERT_TRUE(survives(original, GetParam()));
  std::uint32_t n_decoded = 0;
  for (std::uint32_t seed = 0; seed < kVariants; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    n_decoded += survives(mutate(original, seed), std::string("damaged ") + GetParam()) ? 1 : 0;
  }
  EXPECT_GT(n_decoded, 0u) << "every variant was refused";
  RecordProperty("decoded", static_cast<int>(n_decoded));
}

// Not short.opus: its only page has a checksum, so no damage gets past it; the decoder is reached through WebM.
INSTANTIATE_TEST_SUITE_P(Files, HostileFiles,
                         testing::Values("short.wav", "alaw.wav", "short.flac", "short.mp3", "short.ogg", "short.webm",
                                         "short.m4a", "short_faststart.m4a", "film.mp4", "two_rates.aac"));

// Every truncation of a header, byte by byte.
TEST(HostileFiles, EveryTruncatedHeader) {
  for (const char* name : {"short.wav", "short.flac", "mulaw.au", "short.ogg"}) {
    const std::vector<std::byte> original = read_bytes(audio_file(name));
    for (std::size_t n = 0; n < 100; ++n)
      survives({original.begin(), original.begin() + static_cast<std::ptrdiff_t>(n)}, name);
  }
}

}  // namespace
}  // namespace qasr
