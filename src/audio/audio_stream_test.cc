// AudioStream: blocks joined are what load_audio gives; offset, duration, channels, limits, long streams, changed
// files.
#include "qasr/audio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "audio/byte_source.h"
#include "qasr/error.h"
#include "support/audio_files.h"
#include "support/test_signals.h"
#include "support/wav_bytes.h"

namespace qasr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Lanes = std::vector<std::vector<float>>;

Lanes read_all(AudioStream& stream) {
  Lanes all(static_cast<std::size_t>(stream.n_lanes())), block;
  while (stream.read(block)) {
    EXPECT_LE(block[0].size(), 3u * kSampleRate);
    for (std::size_t lane = 0; lane < all.size(); ++lane) {
      all[lane].insert(all[lane].end(), block[lane].begin(), block[lane].end());
      EXPECT_EQ(block[lane].size(), block[0].size());
    }
  }
  return all;
}

std::vector<std::int16_t> ramp(int n) {
  std::vector<std::int16_t> samples;
  for (int t = 0; t < n; ++t) samples.push_back(static_cast<std::int16_t>(t % 30000));
  return samples;
}

std::string message_of(const std::vector<std::byte>& file, const AudioStreamOptions& options) {
  try {
    AudioStream stream(file, "some.wav", options);
    read_all(stream);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(AudioStream, BlocksJoinedAreTheRecording) {
  for (const char* name : {"short.wav", "short.mp3", "short.opus", "short.m4a", "film.mp4", "two_rates.aac"}) {
    AudioStream stream(audio_file(name));
    EXPECT_EQ(stream.n_lanes(), 1);
    Lanes lanes = read_all(stream);
    limit_to_unit(lanes[0]);
    EXPECT_EQ(lanes[0], load_audio(audio_file(name)).samples) << name;
    EXPECT_TRUE(stream.complete()) << name;
    EXPECT_DOUBLE_EQ(stream.position_s(), static_cast<double>(lanes[0].size()) / kSampleRate);
  }
}

TEST(AudioStream, OffsetAndDurationAreExact) {
  const std::vector<std::byte> file = wav_of(ramp(80000));
  AudioStream stream(file, "ramp.wav", {.offset_s = 1.25, .duration_s = 2.5});
  EXPECT_DOUBLE_EQ(stream.expected_s(), 2.5);
  const Lanes lanes = read_all(stream);
  ASSERT_EQ(lanes[0].size(), 40000u);
  for (std::size_t t = 0; t < lanes[0].size(); ++t) ASSERT_EQ(lanes[0][t], (20000 + t) % 30000 / 32768.0f);
  EXPECT_TRUE(stream.complete());
  EXPECT_THAT(stream.warnings(), IsEmpty());
}

TEST(AudioStream, AnOffsetBehindTheEndIsSaid) {
  const std::vector<std::byte> file = wav_of(ramp(16000));
  AudioStream stream(file, "ramp.wav", {.offset_s = 7});
  EXPECT_THAT(read_all(stream)[0], IsEmpty());
  EXPECT_THAT(stream.warnings(), ElementsAre(HasSubstr("ends after 1.00 s, before the offset of 7.00 s")));
}

TEST(AudioStream, ChannelsAreMixedChosenOrSplit) {
  std::vector<std::int16_t> frames;
  for (int t = 0; t < 20000; ++t) frames.insert(frames.end(), {1000, 3000});
  const std::vector<std::byte> file = wav_of(frames, 2);
  AudioStream mixed(file, "call.wav");
  EXPECT_EQ(read_all(mixed)[0], std::vector<float>(20000, 2000 / 32768.0f));
  AudioStream second(file, "call.wav", {.channels = ChannelMode::kOne, .channel = 1});
  EXPECT_EQ(read_all(second)[0], std::vector<float>(20000, 3000 / 32768.0f));
  AudioStream split(file, "call.wav", {.channels = ChannelMode::kSplit});
  const Lanes lanes = read_all(split);
  ASSERT_EQ(lanes.size(), 2u);
  EXPECT_EQ(lanes[0], std::vector<float>(20000, 1000 / 32768.0f));
  EXPECT_EQ(lanes[1], std::vector<float>(20000, 3000 / 32768.0f));
  EXPECT_THAT(message_of(file, {.channels = ChannelMode::kOne, .channel = 2}),
              HasSubstr("found 2 channels, expected channel 3, counted from 1, in some.wav"));
}

TEST(AudioStream, LimitsAreReported) {
  const std::vector<std::byte> file = wav_of(ramp(80000));
  AudioStream stream(file, "ramp.wav", {.max_duration_s = 2});
  EXPECT_EQ(read_all(stream)[0].size(), 32000u);
  EXPECT_FALSE(stream.complete());
  EXPECT_THAT(stream.warnings(), ElementsAre("reading stopped at the limit of 2.00 s"));
  EXPECT_THAT(message_of(wav_of(ramp(10)), {.offset_s = -1}), HasSubstr("offset_s is -1"));
  EXPECT_THAT(message_of(wav_of(ramp(10)), {.duration_s = NAN}), HasSubstr("duration_s is nan"));
}

TEST(AudioStream, ReadsWhatIsLeftOfAFileThatShrinks) {
  const std::filesystem::path path = testing::TempDir() + "/shrinking.wav";
  const std::vector<std::byte> file = wav_of(ramp(20 * kSampleRate));
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(file.data()), file.size());
  AudioStream stream(path);
  Lanes block;
  EXPECT_TRUE(stream.read(block));
  std::filesystem::resize_file(path, 10 * kSampleRate);
  while (stream.read(block)) continue;
  EXPECT_LT(stream.position_s(), 10);
  EXPECT_FALSE(stream.complete());
  EXPECT_THAT(stream.warnings(), testing::Contains(HasSubstr("the file changed while it was read")));
  std::filesystem::remove(path);
}

TEST(AudioStream, LongStreamsWithoutSeekingGoThroughAFile) {
  const std::vector<std::byte> file = wav_of(ramp(50000));
  std::size_t n_read = 0;
  const auto read = [&](std::span<std::byte> out) {
    const std::size_t n = std::min<std::size_t>(out.size(), std::min<std::size_t>(7777, file.size() - n_read));
    std::memcpy(out.data(), file.data() + n_read, n);
    n_read += n;
    return n;
  };
  const std::unique_ptr<ByteSource> source = stream_source(read, 20000);
  ASSERT_EQ(source->size(), file.size());
  std::vector<std::byte> copy(file.size());
  ASSERT_EQ(source->read_at(0, copy), static_cast<std::ptrdiff_t>(file.size()));
  EXPECT_EQ(copy, file);
}

}  // namespace
}  // namespace qasr
