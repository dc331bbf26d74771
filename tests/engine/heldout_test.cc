// Held-out recordings through the whole pipeline, FLAC file to text, against the reference's transcripts
// (tests/golden/demo/heldout.json, written by tools/golden/export_wer.py). Equal transcripts mean an equal word error rate.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "qasr/engine.h"

namespace qasr {
namespace {

TEST(HeldOut, EveryTranscriptIsTheReferences) {
  const std::filesystem::path source = QASR_SOURCE_DIR;
  std::ifstream file(source / "tests/golden/demo/heldout.json");
  ASSERT_TRUE(file);
  const nlohmann::json golden = nlohmann::json::parse(file);
  Session session(Engine::open(source / "models/demo-en", {.weights = WeightFormat::kF32}));
  int n_recordings = 0, n_words = 0, n_edits = 0;
  for (const nlohmann::json& recording : golden.at("recordings")) {
    const std::string name = recording.at("file");
    const Transcript transcript = session.transcribe(load_audio(source / "tests/data/heldout" / name).samples);
    EXPECT_EQ(transcript.text, recording.at("transcript").get<std::string>()) << name;
    ASSERT_EQ(transcript.segments.size(), 1U) << name;
    EXPECT_EQ(transcript.segments[0].raw_text, recording.at("raw").get<std::string>()) << name;
    n_words += recording.at("n_words").get<int>();
    n_edits += recording.at("word_edits").get<int>();
    ++n_recordings;
  }
  EXPECT_GE(n_recordings, 90);
  EXPECT_NEAR(static_cast<double>(n_edits) / n_words, golden.at("word_error_rate").get<double>(), 1e-4);
}

}  // namespace
}  // namespace qasr
