// Answers that loop, forced with weights that repeat: found, recovered or flagged, in bounded time; and the controls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine_test_util.h"

namespace qasr::test {
namespace {

using ::testing::HasSubstr;

constexpr int kWidth = 52;  // hidden size of tiny_b

// tiny_b with layers that add nothing, so that the next token follows from the last one alone: logits of id are
// sqrt(52) * weight(id) after the token that ends the prompt and after every other token with a weight.
class RepeatingModel {
 public:
  /// @param end  how close the end token comes to the word that repeats (1)
  explicit RepeatingModel(float end) : checkpoint_("tiny_b") {
    const Tokenizer& tokenizer = demo().tokenizer();
    word_ = tokenizer.encode(" the")[0];
    const std::int32_t prompt_end = tokenizer.token_id("<asr_text>");  // the language is forced
    const int end_id = demo().config().eos_token_ids[0];
    for (const char* layer_output : {"self_attn.o_proj", "mlp.down_proj"}) {
      checkpoint_.set_weights(layer_output, [](std::size_t, std::size_t) { return 0.0F; });
    }
    checkpoint_.set_weights("thinker.model.norm.weight", [](std::size_t, std::size_t) { return 1.0F; });
    checkpoint_.set_weights("embed_tokens", [=, this](std::size_t row, std::size_t column) {
      const auto id = static_cast<std::int32_t>(row);
      if (column != 0) return 0.0F;
      return id == word_ ? 1.0F : id == prompt_end ? 0.9F : id == end_id ? end : 0.0F;
    });
    checkpoint_.set_weights("lm_head", [=, this](std::size_t row, std::size_t column) {
      const auto id = static_cast<std::int32_t>(row);
      if (column != 0) return 0.0F;
      return id == word_ ? 1.0F : id == prompt_end ? 0.9F : id == end_id ? end : 0.0F;
    });
  }
  std::shared_ptr<const Engine> open() const {
    return Engine::open(checkpoint_.folder(), {.weights = WeightFormat::kF32, .n_threads = 2});
  }
  std::int32_t word() const { return word_; }

 private:
  static const Model& demo() {
    static const auto engine = Engine::open(kDemoModel, {.n_threads = 1});
    return *engine->impl().model;
  }
  TinyCheckpoint checkpoint_;
  std::int32_t word_ = 0;
};

Segment transcribe(const std::shared_ptr<const Engine>& engine, double duration_s, TranscribeOptions options,
                   std::vector<TextUpdate>* updates = nullptr, std::string* shown = nullptr) {
  options.language = "English";
  Request request(engine, {.transcribe = options, .on_text = [&](const TextUpdate& update) {
                             if (updates != nullptr) updates->push_back(update);
                             if (shown != nullptr) *shown = (update.replaces ? "" : *shown) + std::string(update.piece);
                           }});
  request.push_segment(noise(duration_s, 1), 100);
  return request.wait().segments.at(0);
}

std::string message_of(const Segment& segment, NoteKind kind) {
  for (const SegmentNote& note : segment.notes) {
    if (note.kind == kind) return note.message;
  }
  return "";
}

TEST(Guards, ALoopThatThePenaltyEndsIsRecovered) {
  const RepeatingModel model(0.95F);  // behind the word, before what ends the prompt
  const auto engine = model.open();
  std::vector<TextUpdate> updates;
  std::string shown;
  const Segment brief = transcribe(engine, 1.5, {}, &updates, &shown);
  EXPECT_TRUE(brief.has_note(NoteKind::kRepetitionRecovered));
  EXPECT_FALSE(brief.has_note(NoteKind::kRepetition));
  EXPECT_FALSE(brief.truncated);
  EXPECT_EQ(ids_of(brief), std::vector<std::int32_t>{model.word()});
  EXPECT_EQ(brief.text, "the");
  EXPECT_THAT(message_of(brief, NoteKind::kRepetitionRecovered),
              ::testing::AllOf(HasSubstr("1 tokens"), HasSubstr("repetition penalty"), HasSubstr("1.5 s of audio")));
  EXPECT_EQ(shown, "the") << "what was shown of the loop is withdrawn";
  EXPECT_TRUE(updates.back().replaces);

  // Long enough to be cut first: both parts loop, and both are recovered.
  const Segment longer = transcribe(engine, 6, {});
  EXPECT_EQ(longer.text, "the the");
  EXPECT_THAT(message_of(longer, NoteKind::kRepetitionRecovered),
              ::testing::AllOf(HasSubstr("cut at "), HasSubstr("repetition penalty")));
  EXPECT_DOUBLE_EQ(longer.start_s, 100);
  EXPECT_DOUBLE_EQ(longer.end_s, 106);
}

TEST(Guards, ALoopThatNothingEndsIsFlaggedInBoundedTime) {
  const RepeatingModel model(-1);  // the end never comes
  const auto engine = model.open();
  for (const double duration_s : {0.3, 1.0, 6.0}) {
    const Segment segment = transcribe(engine, duration_s, {});
    EXPECT_TRUE(segment.has_note(NoteKind::kRepetition));
    EXPECT_TRUE(segment.has_note(NoteKind::kTruncated));
    EXPECT_FALSE(segment.has_note(NoteKind::kRepetitionRecovered));
    EXPECT_TRUE(segment.truncated);
    EXPECT_EQ(segment.text, duration_s < 2 ? "the" : "the the") << "one round per part is kept";
    EXPECT_THAT(message_of(segment, NoteKind::kRepetition), HasSubstr("nothing helped"));
    EXPECT_LE(segment.timings.n_generated_tokens, 9 * (64 + 16 * static_cast<int>(duration_s + 1) + 1));
  }
}

TEST(Guards, WithoutRecoveryTheLoopIsCutOffAndFlagged) {
  const auto engine = RepeatingModel(0.95F).open();
  const Segment segment = transcribe(engine, 6, {.guards = {.recover = false}});
  EXPECT_EQ(segment.text, "the");
  EXPECT_TRUE(segment.truncated);
  EXPECT_THAT(message_of(segment, NoteKind::kRepetition), HasSubstr("switched off"));
  EXPECT_LT(segment.timings.n_generated_tokens, 8 * 6 + 32 + 2);
}

TEST(Guards, SwitchedOffTheBudgetAloneEndsTheAnswer) {
  const RepeatingModel model(0.95F);
  const Segment segment = transcribe(model.open(), 1, {.guards = {.detect_repetition = false}});
  EXPECT_TRUE(segment.truncated);
  EXPECT_EQ(segment.timings.n_generated_tokens, 256);
  EXPECT_FALSE(segment.has_note(NoteKind::kRepetition));
  EXPECT_EQ(segment.tokens.size(), 256U);
}

// softmax over 1,601 logits of which three differ from zero: hand-computed log-probabilities.
TEST(Controls, LogProbabilitiesAreThoseOfTheLogits) {
  const RepeatingModel model(0.95F);
  const Segment segment = transcribe(model.open(), 1, {.max_tokens = 3, .guards = {.detect_repetition = false}});
  ASSERT_EQ(segment.tokens.size(), 3U);
  // RMSNorm of (x, 0, ..., 0) of 52 elements is (sqrt(52), 0, ...) up to its epsilon.
  const double largest = std::sqrt(static_cast<double>(kWidth));
  const double sum = std::exp(largest) + std::exp(0.9 * largest) + std::exp(0.95 * largest) + (1601 - 3);
  for (const Token& token : segment.tokens) {
    EXPECT_EQ(token.id, model.word());
    EXPECT_EQ(token.bytes, " the");
    EXPECT_NEAR(token.log_prob, largest - std::log(sum), 1e-3);
  }
  EXPECT_NEAR(segment.avg_log_prob, largest - std::log(sum), 1e-3);
  EXPECT_NEAR(segment.confidence, std::exp(largest) / sum, 1e-3);
}

TEST(Controls, EachIsHonoured) {
  const RepeatingModel model(0.95F);
  const auto engine = model.open();
  const auto answer = [&](const SamplingOptions& sampling) {
    return ids_of(
        transcribe(engine, 1, {.max_tokens = 12, .sampling = sampling, .guards = {.detect_repetition = false}}));
  };
  const std::int32_t word = model.word();
  EXPECT_EQ(answer({}), std::vector<std::int32_t>(12, word));
  // 1 / 1.04 is still above 0.95 and 0.9, 1 / 1.06 is not: the end token.
  EXPECT_EQ(answer({.repetition_penalty = 1.04}), std::vector<std::int32_t>(12, word));
  EXPECT_EQ(answer({.repetition_penalty = 1.06}), std::vector<std::int32_t>(1, word));
  EXPECT_EQ(answer({.no_repeat_ngram_size = 1}), std::vector<std::int32_t>(1, word));
  EXPECT_EQ(answer({.no_repeat_ngram_size = 3}), std::vector<std::int32_t>(3, word));
  EXPECT_EQ(answer({.temperature = 1, .top_k = 1}), std::vector<std::int32_t>(12, word));
  EXPECT_EQ(answer({.temperature = 0.01}), std::vector<std::int32_t>(12, word));
  const auto drawn = answer({.temperature = 1.5, .seed = 1});
  EXPECT_NE(drawn, answer({}));
  EXPECT_EQ(drawn, answer({.temperature = 1.5, .seed = 1}));
  EXPECT_NE(drawn, answer({.temperature = 1.5, .seed = 2}));
}

TEST(Controls, SilenceIsNoted) {
  const auto engine = Engine::open(kDemoModel);
  Request request(engine, {});
  request.push_segment(demo_sample("silence.wav"), 0);
  request.push_segment(std::vector<float>(100, 0.0F), 0);
  request.push_segment(std::vector<float>(), 0);
  const Transcript transcript = request.wait();
  ASSERT_EQ(transcript.segments.size(), 3U);
  for (const Segment& segment : transcript.segments) {
    EXPECT_EQ(segment.text, "");
    EXPECT_TRUE(segment.has_note(NoteKind::kNoSpeech));
    EXPECT_TRUE(segment.tokens.empty());
    EXPECT_EQ(segment.confidence, 0);
  }
  EXPECT_STREQ(note_name(NoteKind::kNoSpeech), "no_speech");
}

TEST(Controls, TokensOfARealAnswerAreItsText) {
  const auto engine = Engine::open(kDemoModel);
  for (const char* language : {"auto", "en"}) {
    Request request(engine, {.transcribe = {.language = language}});
    request.push_segment(demo_sample("weather_slt.wav"), 0);
    const Segment segment = request.wait().segments.at(0);
    std::string text;
    for (const Token& token : segment.tokens) text += token.bytes;
    EXPECT_EQ(text, segment.text);
    EXPECT_GT(segment.confidence, 0.8);
    EXPECT_LE(segment.confidence, 1);
    EXPECT_TRUE(segment.notes.empty());
  }
}

}  // namespace
}  // namespace qasr::test
