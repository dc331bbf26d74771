// The aligner's API with made-up weights: batches, threads, odd input, wrong models. Whether its times are right is the
// business of the trained one (tests/cli/align_test.py, bench/align.py).
#include "qasr/align.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "engine_test_util.h"

namespace qasr::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kLongestS = 20;  // of a piece in these tests

std::string words_text(int n_words) {
  std::string text;
  for (int word = 0; word < n_words; ++word) text += (word % 3 == 0 ? "Light, " : word % 3 == 1 ? "rain " : "to-day. ");
  return text;
}

class AlignerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    checkpoint_ = new TinyCheckpoint("tiny_aligner_b");
    aligner_ = new std::shared_ptr<const Aligner>(Aligner::open(checkpoint_->folder(), {.n_threads = 2}));
  }
  static void TearDownTestSuite() {
    delete aligner_;
    delete checkpoint_;
  }
  const Aligner& aligner() const { return **aligner_; }

  static TinyCheckpoint* checkpoint_;
  static std::shared_ptr<const Aligner>* aligner_;
};
TinyCheckpoint* AlignerTest::checkpoint_ = nullptr;
std::shared_ptr<const Aligner>* AlignerTest::aligner_ = nullptr;

void expect_complete(const Alignment& alignment, const std::string& text, double duration_s) {
  std::string surfaces;
  double last_s = 0;
  for (const Word& word : alignment.words) {
    surfaces += word.surface;
    EXPECT_GE(word.start_s, last_s);
    EXPECT_GE(word.end_s, word.start_s);
    EXPECT_TRUE(word.confidence >= 0 && word.confidence <= 1) << word.confidence;
    last_s = word.end_s;
  }
  EXPECT_LE(last_s, duration_s + 1e-6);
  EXPECT_EQ(surfaces, text);
  EXPECT_EQ(alignment.duration_s, duration_s);
}

void expect_same(const Alignment& a, const Alignment& b) {
  ASSERT_EQ(a.words.size(), b.words.size());
  EXPECT_EQ(a.n_pieces, b.n_pieces);
  EXPECT_EQ(a.warnings, b.warnings);
  for (std::size_t word = 0; word < a.words.size(); ++word) {  // bit for bit
    EXPECT_EQ(a.words[word].start_s, b.words[word].start_s) << word;
    EXPECT_EQ(a.words[word].end_s, b.words[word].end_s) << word;
    EXPECT_EQ(a.words[word].confidence, b.words[word].confidence) << word;
  }
}

TEST_F(AlignerTest, EveryWordOnceInOrder) {
  const std::string text = words_text(12);
  const Alignment alignment = aligner().align(noise(5, 1), text, {.language = "en"});
  expect_complete(alignment, text, 5);
  EXPECT_EQ(alignment.language, "English");
  EXPECT_EQ(alignment.words[2].text, "today");
  EXPECT_EQ(alignment.words[2].surface, "to-day. ");
  EXPECT_EQ(alignment.n_pieces, 1);
  EXPECT_EQ(alignment.timings.n_generated_tokens, 24);
  EXPECT_EQ(alignment.timings.n_audio_tokens, 65);
  EXPECT_GT(alignment.timings.audio_encoding_ms, 0);
  const Transcript transcript = to_transcript(alignment, text);
  EXPECT_EQ(transcript.segments.at(0).words.size(), 12u);
}

TEST_F(AlignerTest, BatchesGiveWhatSingleRunsGive) {
  const std::vector<std::vector<float>> samples = {noise(7, 1), noise(0.1, 2), noise(75, 3), noise(2, 4), {}};
  const std::vector<std::string> texts = {words_text(20), "rain", words_text(200), "", "rain"};
  for (const TimeCorrection times : {TimeCorrection::kRepaired, TimeCorrection::kOfficial}) {
    const AlignOptions options{.times = times, .max_piece_s = kLongestS};
    std::vector<AlignItem> items;
    for (std::size_t n = 0; n < samples.size(); ++n) items.push_back({.samples = samples[n], .text = texts[n]});
    const std::vector<Alignment> batch = aligner().align(items, options);
    ASSERT_THAT(batch, SizeIs(items.size()));
    EXPECT_GT(batch[2].n_pieces, 3);
    for (std::size_t n = 0; n < items.size(); ++n)
      expect_same(batch[n], aligner().align(samples[n], texts[n], options));
  }
}

TEST_F(AlignerTest, SeveralThreads) {
  const std::vector<float> samples = noise(6, 5);
  const std::string text = words_text(15);
  const Alignment alone = aligner().align(samples, text);
  std::vector<Alignment> found(4);
  {
    std::vector<std::jthread> threads;
    for (Alignment& alignment : found) threads.emplace_back([&] { alignment = aligner().align(samples, text); });
  }
  for (const Alignment& alignment : found) expect_same(alignment, alone);
}

TEST_F(AlignerTest, OddInput) {
  EXPECT_THAT(aligner().align(noise(1, 1), "").words, IsEmpty());
  EXPECT_THAT(aligner().align(noise(1, 1), " ... !").words, IsEmpty());
  EXPECT_THAT(aligner().align(std::span<const AlignItem>()), IsEmpty());

  const Alignment silent = aligner().align({}, "two words");
  expect_complete(silent, "two words", 0);
  EXPECT_THAT(silent.warnings, SizeIs(2));

  const std::string many = words_text(10000);
  const Alignment crowded = aligner().align(noise(5, 1), many);
  expect_complete(crowded, many, 5);
  EXPECT_THAT(crowded.warnings.at(0), HasSubstr("of 10000 words are more than 5.0 s of audio can hold"));

  const std::string endless(100000, 'x');
  expect_complete(aligner().align(noise(1, 1), endless), endless, 1);

  const Alignment hindi = aligner().align(noise(1, 1), "नमस्ते दुनिया", {.language = "Hindi"});
  EXPECT_EQ(hindi.words.at(0).text, "नमस्ते");
  EXPECT_THAT(hindi.warnings.at(0), HasSubstr("Hindi is not a language of the official aligner"));

  // Recognisers name languages of their own making.
  const std::vector<float> samples = noise(1, 1);
  const AlignItem item{.samples = samples, .text = "rain", .language = "Elvish", .start_s = 3};
  const Alignment elvish = aligner().align(std::span(&item, 1)).front();
  EXPECT_EQ(elvish.language, "");
  EXPECT_GE(elvish.words.at(0).start_s, 3);
}

template <typename Call>
void expect_error(ErrorCode code, const std::string& part, Call call) {
  try {
    call();
    ADD_FAILURE() << "no error that says " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST_F(AlignerTest, BadArguments) {
  const std::vector<float> samples = noise(1, 1);
  expect_error(ErrorCode::kInvalidArgument, "unknown language \"Klingon\"",
               [&] { aligner().align(samples, "a", {.language = "Klingon"}); });
  expect_error(ErrorCode::kInvalidArgument, "max_piece_s is 0.5",
               [&] { aligner().align(samples, "a", {.max_piece_s = 0.5}); });
  std::vector<float> broken = samples;
  broken[7] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorCode::kInvalidArgument, "sample 7", [&] { aligner().align(broken, "a"); });
}

TEST_F(AlignerTest, ModelsOfTheOtherKindAreNamed) {
  expect_error(ErrorCode::kModel, "is a speech recognition model", [] { Aligner::open(kDemoModel); });
  expect_error(ErrorCode::kModel, "is a forced aligner", [] { Engine::open(checkpoint_->folder()); });
  expect_error(ErrorCode::kModel, "No such file", [] { Aligner::open("/no/such/folder"); });
}

}  // namespace
}  // namespace qasr::test
