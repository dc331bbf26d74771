// The public API on the demonstration model: transcripts, options, bad arguments, many sessions on many threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "qasr/engine.h"
#include "qasr/languages.h"

namespace qasr {
namespace {

using ::testing::HasSubstr;

const std::string kModelDir = std::string(QASR_SOURCE_DIR) + "/models/demo-en";

struct Sample {
  std::string file, text;
};

// Recordings the model transcribes without a mistake: file name, transcript.
std::vector<Sample> samples() {
  std::vector<Sample> all;
  std::ifstream table(kModelDir + "/samples/references.tsv");
  std::string line;
  std::getline(table, line);  // column names
  while (std::getline(table, line)) {
    const std::size_t tab = line.find('\t');
    all.push_back({line.substr(0, tab), line.substr(tab + 1)});
  }
  return all;
}

std::vector<float> load_sample(const std::string& file) {
  return load_audio(std::filesystem::path(kModelDir + "/samples/" + file)).samples;
}

class SessionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { engine_ = Engine::open(kModelDir); }
  static void TearDownTestSuite() { engine_.reset(); }

  std::string error_of(std::span<const float> samples, const TranscribeOptions& options, ErrorCode code) {
    try {
      Session(engine_).transcribe(samples, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "expected an error";
    return "";
  }

  static std::shared_ptr<const Engine> engine_;
};
std::shared_ptr<const Engine> SessionTest::engine_;

TEST_F(SessionTest, ShowsTheTranscriptPieceByPiece) {
  Session session(engine_);
  ASSERT_FALSE(samples().empty());
  for (const Sample& sample : samples()) {
    std::string shown;
    const Transcript transcript =
        session.transcribe(load_sample(sample.file), {.on_text = [&](std::string_view piece) { shown += piece; }});
    EXPECT_EQ(shown, transcript.text) << sample.file;
    EXPECT_EQ(transcript.language, transcript.text.empty() ? "" : "English");
    EXPECT_FALSE(transcript.truncated);
    EXPECT_GT(transcript.timings.n_generated_tokens, 0);
  }
}

TEST_F(SessionTest, EmptyAndTinyRecordingsAreNoError) {
  Session session(engine_);
  EXPECT_EQ(session.transcribe({}).text, "");
  EXPECT_TRUE(session.transcribe({}).segments.empty());
  for (const std::size_t n : {1U, 159U, 160U, 200U, 201U, 399U, 400U, 7999U}) {
    const std::vector<float> quiet(n, 0.0F);
    EXPECT_EQ(session.transcribe(quiet).segments.size(), 1U) << n;
    EXPECT_NO_THROW(session.transcribe(quiet, {.pad_short_clips = false})) << n;
    EXPECT_NO_THROW(session.transcribe(quiet, {.pad_short_clips = false,
                                               .short_clip_padding = ShortClipPadding::kTransformers}))
        << n;
  }
}

TEST_F(SessionTest, LanguageByNameOrCodeForcesTheSameAnswer) {
  Session session(engine_);
  const std::vector<float> audio = load_sample(samples()[0].file);
  const Transcript by_name = session.transcribe(audio, {.language = "english"});
  const Transcript by_code = session.transcribe(audio, {.language = "EN"});
  EXPECT_EQ(by_name.text, samples()[0].text);
  EXPECT_EQ(by_code.text, by_name.text);
  EXPECT_EQ(by_name.language, "English");
  EXPECT_EQ(by_name.segments[0].raw_text.find("<asr_text>"), std::string::npos);
}

TEST_F(SessionTest, ContextMayHoldControlTokens) {
  Session session(engine_);
  const Sample sample = samples()[0];
  const Transcript transcript =
      session.transcribe(load_sample(sample.file), {.context = "Notes <|im_end|> and <|audio_pad|>."});
  EXPECT_FALSE(transcript.segments.empty());
}

TEST_F(SessionTest, TokenLimitTruncatesVisibly) {
  Session session(engine_);
  const Transcript transcript = session.transcribe(load_sample(samples()[0].file), {.max_tokens = 5});
  EXPECT_TRUE(transcript.truncated);
  EXPECT_TRUE(transcript.segments[0].truncated);
  EXPECT_EQ(transcript.timings.n_generated_tokens, 5);
}

TEST_F(SessionTest, LongRecordingsAreCutAndTimed) {
  Session session(engine_);
  std::vector<float> audio;
  for (const Sample& sample : samples()) {
    const std::vector<float> more = load_sample(sample.file);
    audio.insert(audio.end(), more.begin(), more.end());
    audio.insert(audio.end(), 8000, 0.0F);
  }
  const Transcript transcript = session.transcribe(audio, {.max_segment_s = 10});
  ASSERT_GT(transcript.segments.size(), 1U);
  double end_s = 0;
  for (const Segment& segment : transcript.segments) {
    EXPECT_DOUBLE_EQ(segment.start_s, end_s);
    end_s = segment.end_s;
  }
  EXPECT_DOUBLE_EQ(end_s, static_cast<double>(audio.size()) / kSampleRate);
}

TEST_F(SessionTest, BadArgumentsSayWhatWasFoundAndExpected) {
  const std::vector<float> second(16000, 0.0F);
  EXPECT_THAT(error_of(second, {.language = "klingon"}, ErrorCode::kInvalidArgument),
              ::testing::AllOf(HasSubstr("klingon"), HasSubstr("German (de)")));
  EXPECT_THAT(error_of(second, {.max_tokens = -1}, ErrorCode::kInvalidArgument), HasSubstr("-1"));
  EXPECT_THAT(error_of(second, {.max_segment_s = 0.5}, ErrorCode::kInvalidArgument), HasSubstr("0.5"));
  EXPECT_THAT(error_of(second, {.max_segment_s = NAN}, ErrorCode::kInvalidArgument), HasSubstr("nan"));
  EXPECT_THAT(error_of(second, {.max_tokens = 70000}, ErrorCode::kInput), HasSubstr("65536"));
  std::vector<float> bad = second;
  bad[123] = INFINITY;
  EXPECT_THAT(error_of(bad, {}, ErrorCode::kInvalidArgument), HasSubstr("sample 123 is inf"));
  EXPECT_THROW(Session(nullptr), Error);
}

TEST_F(SessionTest, EveryBackendAndFormatGivesTheSameTranscripts) {
  const std::vector<Sample> all = samples();
  for (const EngineOptions& options :
       {EngineOptions{.weights = WeightFormat::kF32}, EngineOptions{.weights = WeightFormat::kBf16, .n_threads = 1},
        EngineOptions{.n_threads = 3, .cpu_isa = "generic"}, EngineOptions{.kv_cache = KvCacheFormat::kBf16},
        EngineOptions{.backend = BackendKind::kReference}}) {
    const auto engine = Engine::open(kModelDir, options);
    SCOPED_TRACE(engine->backend_description());
    // The reference backend is slow: one recording is enough.
    const std::size_t n = options.backend == BackendKind::kReference ? 1 : all.size();
    for (std::size_t i = 0; i < n; ++i) {
      const std::vector<float> audio = load_sample(all[i].file);
      EXPECT_EQ(Session(engine).transcribe(audio).text, Session(engine_).transcribe(audio).text) << all[i].file;
    }
  }
}

TEST_F(SessionTest, SessionsOnManyThreadsDoNotDisturbEachOther) {
  const std::vector<Sample> all = samples();
  std::vector<std::vector<float>> audio;
  std::vector<std::string> expected;
  for (const Sample& sample : all) {
    audio.push_back(load_sample(sample.file));
    expected.push_back(Session(engine_).transcribe(audio.back()).text);
  }
  std::vector<std::string> failures(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < failures.size(); ++t) {
      threads.emplace_back([&, t] {
        Session session(engine_);
        for (std::size_t i = 0; i < all.size(); ++i) {
          const std::size_t pick = (i + t) % all.size();
          const std::string text = session.transcribe(audio[pick]).text;
          if (text != expected[pick]) failures[t] += all[pick].file + ": " + text + "\n";
        }
      });
    }
  }
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
}

TEST(EngineOpen, UnknownInstructionSetNamesTheKnownOnes) {
  try {
    Engine::open(kModelDir, {.cpu_isa = "mmx"});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("mmx"), HasSubstr("generic")));
  }
}

}  // namespace
}  // namespace qasr
