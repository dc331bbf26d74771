// The writers: exact files for a small transcript, escapes, what counts as complete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "qasr/formats.h"

namespace qasr {
namespace {

using testing::HasSubstr;

Segment segment_of(double start_s, double end_s, const std::string& text) {
  Segment segment;
  segment.start_s = start_s;
  segment.end_s = end_s;
  segment.text = text;
  segment.language = "English";
  return segment;
}

Transcript small() {
  Transcript transcript;
  transcript.segments = {segment_of(0.5, 2.25, "A <b> & \"c\"."), segment_of(3661, 3663.5, "Tab\there --> end.")};
  transcript.segments[0].tokens = {
      {7, std::log(0.9f), "A"}, {8, std::log(0.4f), " <b>"}, {9, std::log(0.7f), " & \"c\"."}};
  transcript.segments[0].confidence = 0.625;
  transcript.segments[0].avg_log_prob = std::log(0.625);
  transcript.segments[0].speech_s = 1.5;
  transcript.text = "A <b> & \"c\". Tab\there --> end.";
  transcript.language = "English";
  transcript.duration_s = 3700;
  transcript.non_speech = {{2.25, 3661, -1}};
  transcript.warnings = {"one warning"};
  return transcript;
}

std::string written(const Transcript& transcript, OutputFormat format) {
  return format_transcript(transcript, format, {"talk.wav", "demo"});
}

TEST(Formats, Names) {
  for (std::string_view name : output_format_names()) {
    ASSERT_TRUE(find_output_format(name)) << name;
    EXPECT_EQ(output_format_name(*find_output_format(name)), name);
  }
  EXPECT_FALSE(find_output_format("doc"));
  EXPECT_FALSE(find_output_format(""));
}

// Segments are written one by one; the text is what one tree of the whole document would give.
TEST(Formats, JsonIsLaidOutAsOneDocument) {
  Transcript transcript = small();
  transcript.text += R"( "segments": [] "segments":[])";
  transcript.segments[1].text += "\n{";
  for (const std::size_t n_segments : {2, 1, 0}) {
    SCOPED_TRACE(n_segments);
    transcript.segments.resize(n_segments);
    const std::string document = written(transcript, OutputFormat::kJson);
    const auto tree = nlohmann::ordered_json::parse(document);
    EXPECT_EQ(tree.at("segments").size(), n_segments);
    EXPECT_EQ(document, tree.dump(2) + "\n");
    EXPECT_EQ(format_transcript(transcript, OutputFormat::kJson, {"talk.wav", "demo"}, {}, true), tree.dump() + "\n");
  }
}

TEST(Formats, Srt) {
  EXPECT_EQ(written(small(), OutputFormat::kSrt),
            "1\n00:00:00,500 --> 00:00:02,250\nA <b> & \"c\".\n\n"
            "2\n01:01:01,000 --> 01:01:03,500\nTab here --> end.\n\n");
}

TEST(Formats, Vtt) {
  EXPECT_EQ(written(small(), OutputFormat::kVtt),
            "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\nA &lt;b&gt; &amp; \"c\".\n"
            "\n01:01:01.000 --> 01:01:03.500\nTab here --&gt; end.\n");
}

TEST(Formats, TablesAndLyrics) {
  EXPECT_EQ(written(small(), OutputFormat::kTsv),
            "start\tend\ttext\n500\t2250\tA <b> & \"c\".\n3661000\t3663500\tTab here --> end.\n");
  EXPECT_EQ(written(small(), OutputFormat::kCsv),
            "start,end,channel,language,confidence,text\r\n0.500,2.250,,\"English\",0.6250,\"A <b> & \"\"c\"\".\"\r\n"
            "3661.000,3663.500,,\"English\",0.0000,\"Tab here --> end.\"\r\n");
  EXPECT_EQ(
      written(small(), OutputFormat::kLrc),
      "[length:61:40]\n[re:qasr]\n[00:00.50]A <b> & \"c\".\n[00:02.25]\n[61:01.00]Tab here --> end.\n[61:03.50]\n");
}

TEST(Formats, Json) {
  const nlohmann::json document = nlohmann::json::parse(written(small(), OutputFormat::kJson));
  EXPECT_EQ(document["file"], "talk.wav");
  EXPECT_EQ(document["task"], "transcribe");
  EXPECT_EQ(document["duration"], 3700);
  EXPECT_EQ(document["warnings"], nlohmann::json({"one warning"}));
  EXPECT_EQ(document["non_speech"][0]["end"], 3661);
  const nlohmann::json& first = document["segments"][0];
  EXPECT_EQ(first["id"], 0);
  EXPECT_EQ(first["tokens"], nlohmann::json({7, 8, 9}));
  EXPECT_NEAR(first["logprobs"][1]["logprob"].get<double>(), std::log(0.4), 1e-5);
  EXPECT_EQ(first["logprobs"][1]["token"], " <b>");
  EXPECT_FALSE(first["logprobs"][1].contains("bytes"));
  EXPECT_EQ(first["speech"], 1.5);
  EXPECT_FALSE(first.contains("words"));
  EXPECT_FALSE(first.contains("channel"));
}

// Pieces that are written one after the other are the text of one tree.
TEST(Formats, JsonInPiecesIsOneDocument) {
  Transcript with_words = small();
  with_words.text = "\"segments\": [], \"words\": []";
  with_words.segments[0].words = {{0.5, 1, "A", "A ", 0.9}, {1, 2, "b", "<b>", 0.8}};
  with_words.segments[1].words = {{3661, 3662, "Tab", "Tab", 0.7}};
  with_words.non_speech.push_back({3700, 3701, 1});
  const Transcript transcripts[] = {{}, small(), with_words};
  for (const Transcript& transcript : transcripts) {
    for (const bool one_line : {false, true}) {
      const std::string text = format_transcript(transcript, OutputFormat::kJson, {"a.wav", "m"}, {}, one_line);
      const auto document = nlohmann::ordered_json::parse(text);
      EXPECT_EQ(text, document.dump(one_line ? -1 : 2) + "\n");
      EXPECT_EQ(document["segments"].size(), transcript.segments.size());
      EXPECT_EQ(document["non_speech"].size(), transcript.non_speech.size());
      EXPECT_EQ(document.contains("words") ? document["words"].size() : 0u, &transcript == &transcripts[2] ? 3u : 0u);
    }
  }
}

TEST(Formats, JsonSurvivesTokensThatAreHalfCharacters) {
  Transcript transcript = small();
  transcript.segments[0].tokens = {{1, -1, "\xe4\xbd"}, {2, -1, "\xa0"}};
  const nlohmann::json document =
      nlohmann::json::parse(format_transcript(transcript, OutputFormat::kJson, {"bad\xffname.wav", ""}));
  EXPECT_EQ(document["file"], "bad\uFFFDname.wav");
  EXPECT_EQ(document["segments"][0]["logprobs"][0]["bytes"], nlohmann::json({0xe4, 0xbd}));
}

TEST(Formats, ChannelsAreNamed) {
  Transcript transcript = small();
  transcript.segments[0].channel = 0;
  transcript.segments[1].channel = 1;
  EXPECT_EQ(written(transcript, OutputFormat::kText), "[channel 1] A <b> & \"c\".\n[channel 2] Tab\there --> end.\n");
  EXPECT_THAT(written(transcript, OutputFormat::kSrt), HasSubstr("\n[channel 2] Tab here"));
  EXPECT_THAT(written(transcript, OutputFormat::kVtt), HasSubstr("\n<v Channel 1>A &lt;b"));
  EXPECT_THAT(written(transcript, OutputFormat::kCsv), HasSubstr(",2,\"English\","));
}

TEST(Formats, NothingSaid) {
  const Transcript nothing;
  EXPECT_EQ(written(nothing, OutputFormat::kText), "");
  EXPECT_EQ(written(nothing, OutputFormat::kSrt), "");
  EXPECT_EQ(written(nothing, OutputFormat::kVtt), "WEBVTT\n");
  EXPECT_EQ(written(nothing, OutputFormat::kJsonLines), "");
}

TEST(Formats, CompleteFilesAreRecognised) {
  for (std::string_view name : output_format_names()) {
    const OutputFormat format = *find_output_format(name);
    for (const Transcript& transcript : {small(), Transcript()}) {
      const std::string content = written(transcript, format);
      EXPECT_TRUE(is_complete(content, format)) << name;
      if (content.size() < 2) continue;
      EXPECT_FALSE(is_complete(content.substr(0, content.size() - 2), format)) << name;
    }
    EXPECT_FALSE(is_complete("\xff\xfe\n\n", format)) << name;
  }
}

TEST(Formats, RightToLeftLinesAreEmbedded) {
  Transcript transcript;
  transcript.segments = {segment_of(0, 2, "مرحبا SMS!")};
  EXPECT_THAT(written(transcript, OutputFormat::kSrt), HasSubstr("\n\u202bمرحبا SMS!\u202c\n"));
  EXPECT_THAT(written(transcript, OutputFormat::kVtt), HasSubstr("\nمرحبا SMS!\n"));
}

TEST(Formats, ColorsFollowConfidence) {
  EXPECT_EQ(color_by_confidence(small().segments[0]), "A \x1b[31m<b>\x1b[0m \x1b[33m& \"c\".\x1b[0m");
  EXPECT_EQ(color_by_confidence(segment_of(0, 1, "plain")), "plain");
}

TEST(Formats, TextGridTilesTheRecording) {
  Transcript transcript;
  transcript.duration_s = 3;
  transcript.segments = {segment_of(0.5, 2, "Say \"hi\", now.")};
  transcript.segments[0].words = {{0.5, 0.9, "Say", "Say "}, {0.9, 0.9, "hi", "\"hi\", "}, {1.5, 2, "now", "now."}};
  const std::string grid = written(transcript, OutputFormat::kTextGrid);
  EXPECT_TRUE(is_complete(grid, OutputFormat::kTextGrid));
  EXPECT_FALSE(is_complete(grid.substr(0, grid.size() - 3), OutputFormat::kTextGrid));
  EXPECT_THAT(grid, HasSubstr("xmin = 0 \nxmax = 3.000 \ntiers? <exists> \nsize = 2 \n"));
  EXPECT_THAT(
      grid,
      HasSubstr("name = \"segments\" \n        xmin = 0 \n        xmax = 3.000 \n        intervals: size = 3 \n"));
  EXPECT_THAT(grid, HasSubstr("text = \"Say \"\"hi\"\", now.\" \n"));
  // Gap, two words side by side (the second of no length), gap, word, gap.
  EXPECT_THAT(grid,
              HasSubstr("name = \"words\" \n        xmin = 0 \n        xmax = 3.000 \n        intervals: size = 6 \n"));
  EXPECT_THAT(grid, HasSubstr("xmin = 0.900 \n            xmax = 0.901 \n            text = \"\"\"hi\"\",\" \n"));
  EXPECT_THAT(grid, HasSubstr("xmin = 2.000 \n            xmax = 3.000 \n            text = \"\" \n"));
  EXPECT_TRUE(is_complete(written(Transcript{}, OutputFormat::kTextGrid), OutputFormat::kTextGrid));
}

TEST(Formats, JsonWordsCarrySurfaceAndConfidence) {
  Transcript transcript = small();
  transcript.segments[0].words = {{0.5, 1, "A", "A ", 0.75}};
  const auto json = nlohmann::json::parse(
      format_transcript(transcript, OutputFormat::kJson, {.file = "talk.wav", .model = "demo", .task = "align"}));
  EXPECT_EQ(json.at("task"), "align");
  EXPECT_EQ(json.at("words"),
            nlohmann::json::parse(R"([{"word": "A", "start": 0.5, "end": 1.0, "surface": "A ", "confidence": 0.75}])"));
  EXPECT_EQ(json.at("segments").at(0).at("words"), json.at("words"));
}

}  // namespace
}  // namespace qasr
