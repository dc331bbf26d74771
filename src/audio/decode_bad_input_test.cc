// What load_audio says to files that are no recordings: Error(kInput) naming the file, what was found, what was
// expected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "qasr/audio.h"
#include "qasr/error.h"
#include "support/audio_files.h"
#include "support/test_signals.h"
#include "support/wav_bytes.h"

namespace qasr {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

template <typename Load>
std::string message_of(const Load& load) {
  try {
    load();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInput) << error.what();
    return error.what();
  }
  return "no error";
}

std::string message_of_bytes(const std::vector<std::byte>& bytes, const std::string& name) {
  return message_of([&] { load_audio(bytes, name); });
}

std::string message_of_path(const std::filesystem::path& path) {
  return message_of([&] { load_audio(path); });
}

auto says(const std::string& found, const std::string& expected, const std::string& name) {
  return AllOf(StartsWith("audio: found " + found), HasSubstr(", expected " + expected), EndsWith(", in " + name));
}

TEST(BadInput, MissingFile) {
  EXPECT_THAT(message_of_path("no/such/file.wav"),
              says("No such file or directory", "a readable file", "no/such/file.wav"));
}

TEST(BadInput, Directory) {
  const std::string directory = testing::TempDir();
  EXPECT_THAT(message_of_path(directory), says("a directory", "an audio file", directory));
}

TEST(BadInput, EmptyFile) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "qasr_empty.wav";
  std::ofstream(path).close();
  EXPECT_THAT(message_of_path(path), says("an empty file", "WAV", path.string()));
  std::filesystem::remove(path);
  EXPECT_THAT(message_of_bytes({}, "nothing.wav"), says("an empty file", "WAV", "nothing.wav"));
  EXPECT_THAT(message_of([] { load_audio([](std::span<std::byte>) { return std::size_t{0}; }, "standard input"); }),
              says("an empty file", "WAV", "standard input"));
}

TEST(BadInput, TextNamedWav) {
  EXPECT_THAT(message_of_bytes(bytes_of("Dear all,\nplease find the minutes attached.\n"), "letter.wav"),
              says("text", "WAV", "letter.wav"));
  EXPECT_THAT(message_of_bytes(bytes_of(std::string(100000, 'a')), "a.wav"), says("text", "WAV", "a.wav"));
}

TEST(BadInput, RandomBytes) {
  EXPECT_THAT(message_of_bytes(wav_of(noise_signal(10000)), "ok.wav"), "no error");
  const std::vector<float> noise = noise_signal(10000);
  const auto bytes = std::as_bytes(std::span(noise));
  EXPECT_THAT(message_of_bytes({bytes.begin(), bytes.end()}, "noise.raw"),
              says("data of no known audio format", "WAV", "noise.raw"));
}

// Formats that would open other files or addresses are refused by name, before anything is opened.
TEST(BadInput, PlaylistsAndManifests) {
  const std::string target = audio_file("short.wav").string();
  EXPECT_THAT(message_of_bytes(bytes_of("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n" + target + "\n"), "list.wav"),
              says("the format hls", "WAV", "list.wav"));
  EXPECT_THAT(message_of_bytes(bytes_of("ffconcat version 1.0\nfile " + target + "\n"), "list.wav"),
              says("the format concat", "WAV", "list.wav"));
  EXPECT_THAT(
      message_of_bytes(bytes_of("1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nx\n"),
                       "film.wav"),
      says("", "WAV", "film.wav"));
}

TEST(BadInput, PicturesAndSilentFilms) {
  EXPECT_THAT(message_of_path(audio_file("picture.png")),
              says("the format png_pipe", "WAV", audio_file("picture.png")));
  EXPECT_THAT(message_of_path(audio_file("silent_film.mp4")),
              says("no audio stream in a QuickTime / MOV file (1 other streams)", "at least one audio stream",
                   audio_file("silent_film.mp4")));
}

TEST(BadInput, ImpossibleWavHeaders) {
  const std::vector<std::byte> payload(64000, std::byte{1});
  const auto message = [&](const WavHeader& header) { return message_of_bytes(wav_bytes(header, payload), "odd.wav"); };
  EXPECT_THAT(message({.n_channels = 0}), says("an audio stream with 0 channels", "at least 1 channel", "odd.wav"));
  EXPECT_THAT(message({.n_channels = 60000}), says("", "", "odd.wav"));
  EXPECT_THAT(message({.sample_rate = 0}), says("a damaged WAV", "a complete file", "odd.wav"));
  EXPECT_THAT(message({.sample_rate = 1}), says("a sample rate of 1 Hz", "1000 to 768000 Hz", "odd.wav"));
  EXPECT_THAT(message({.sample_rate = 2000000}), says("a sample rate of 2000000 Hz", "1000 to 768000 Hz", "odd.wav"));
  EXPECT_THAT(message({.format_tag = 0x7777}), says("", "", "odd.wav"));
}

TEST(BadInput, FilesCutInTheirHeader) {
  const std::vector<std::byte> wav = read_bytes(audio_file("short.wav"));
  EXPECT_THAT(message_of_bytes({wav.begin(), wav.begin() + 44}, "cut.wav"), says("", "", "cut.wav"));
  EXPECT_THAT(message_of_bytes({wav.begin(), wav.begin() + 20}, "cut.wav"), says("", "", "cut.wav"));
  const std::vector<std::byte> m4a = read_bytes(audio_file("short.m4a"));  // the index is at the end
  EXPECT_THAT(message_of_bytes({m4a.begin(), m4a.begin() + 2000}, "cut.m4a"),
              says("a damaged QuickTime / MOV header", "a complete file", "cut.m4a"));
}

TEST(BadInput, HeaderWithoutSamples) {
  EXPECT_THAT(message_of_bytes(wav_of(std::vector<float>{}), "none.wav"), says("", "", "none.wav"));
}

}  // namespace
}  // namespace qasr
