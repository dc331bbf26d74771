// Logits processing against Hugging Face transformers (tools/golden/export_sampling.py), drawing by its statistics.
#include "model/token_chooser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "backend/backend.h"
#include "qasr/error.h"

namespace qasr {
namespace {

const nlohmann::json& golden() {
  static const nlohmann::json document =
      nlohmann::json::parse(std::ifstream(std::string(QASR_SOURCE_DIR) + "/tests/golden/sampling/golden.json"));
  return document;
}

SamplingOptions options_of(const nlohmann::json& options) {
  return {.temperature = options.value("temperature", 0.0),
          .top_k = options.value("top_k", 0),
          .top_p = options.value("top_p", 1.0),
          .repetition_penalty = options.value("repetition_penalty", 1.0),
          .no_repeat_ngram_size = options.value("no_repeat_ngram_size", 0)};
}

// A row without a batch around it.
std::int32_t choose(TokenChooser& chooser, std::span<const std::int32_t> history, std::vector<float> logits) {
  RowChoice choice = chooser.choice(history);
  const std::int32_t id = choose_token(choice, logits);
  chooser.advance();
  EXPECT_EQ(chooser.choice(history).random_state, choice.random_state);
  return id;
}

TEST(TokenChooser, ProcessedLogitsAreThoseOfTransformers) {
  EXPECT_GE(golden().at("cases").size(), 19U);
  for (const auto& test : golden().at("cases")) {
    SCOPED_TRACE(test.at("options").dump());
    const auto history = test.at("history").get<std::vector<std::int32_t>>();
    auto logits = test.at("logits").get<std::vector<float>>();
    process_logits(options_of(test.at("options")), history, logits);
    for (std::size_t id = 0; id < logits.size(); ++id) {
      const auto& expected = test.at("processed")[id];
      if (expected.is_null()) {
        EXPECT_EQ(logits[id], -INFINITY) << "id " << id;
      } else {
        EXPECT_FLOAT_EQ(logits[id], expected.get<float>()) << "id " << id;
      }
    }
  }
}

TEST(TokenChooser, LogProbabilitiesAreThoseOfTheRawLogits) {
  for (const auto& test : golden().at("cases")) {
    const auto logits = test.at("logits").get<std::vector<float>>();
    for (std::size_t id = 0; id < logits.size(); ++id) {
      EXPECT_NEAR(log_softmax_at(logits, static_cast<std::int32_t>(id)), test.at("log_probabilities")[id].get<double>(),
                  2e-6);
    }
  }
}

TEST(TokenChooser, DrawsAsOftenAsTheProbabilitiesSay) {
  constexpr int kDraws = 4000;
  for (const auto& test : golden().at("cases")) {
    SamplingOptions options = options_of(test.at("options"));
    if (options.temperature == 0) continue;
    const auto logits = test.at("logits").get<std::vector<float>>();
    const auto history = test.at("history").get<std::vector<std::int32_t>>();
    std::vector<int> count(logits.size());
    options.seed = 7;
    TokenChooser chooser(options, 1);
    for (int draw = 0; draw < kDraws; ++draw) {
      ++count[static_cast<std::size_t>(choose(chooser, history, logits))];
    }
    for (std::size_t id = 0; id < count.size(); ++id) {
      const double p = test.at("probabilities")[id].get<double>();
      const double spread = std::sqrt(kDraws * p * (1 - p));
      EXPECT_NEAR(count[id], kDraws * p, 5 * spread + 1e-9) << test.at("options").dump() << " id " << id;
    }
  }
}

TEST(TokenChooser, EqualSeedsDrawEqualTokensAndStreamsDiffer) {
  const std::vector<float> flat(1000, 0.0F);
  const auto draws = [&](std::uint64_t seed, std::uint64_t stream) {
    TokenChooser chooser({.temperature = 1, .seed = seed}, stream);
    std::vector<std::int32_t> ids;
    for (int draw = 0; draw < 8; ++draw) ids.push_back(choose(chooser, ids, flat));
    return ids;
  };
  EXPECT_EQ(draws(1, 0), draws(1, 0));
  EXPECT_NE(draws(1, 0), draws(1, 1));
  EXPECT_NE(draws(1, 0), draws(2, 0));
}

TEST(TokenChooser, DrawingCoversTheEndsOfTheRange) {
  const float infinity = INFINITY;
  const std::vector<float> logits = {-infinity, 0, 0, -infinity};
  EXPECT_EQ(draw_token(logits, 0), 1);
  EXPECT_EQ(draw_token(logits, 0.4999), 1);
  EXPECT_EQ(draw_token(logits, 0.5), 2);
  EXPECT_EQ(draw_token(logits, std::nextafter(1.0, 0.0)), 2);
}

TEST(TokenChooser, GreedyTakesTheLargestAndTheLowestOnTies) {
  const std::vector<float> logits = {1, 3, 3, 2};
  TokenChooser greedy({}, 0);
  EXPECT_TRUE(greedy.takes_most_likely());
  EXPECT_EQ(choose(greedy, {}, logits), 1);
  TokenChooser penalised({.repetition_penalty = 4}, 0);
  EXPECT_FALSE(penalised.takes_most_likely());
  EXPECT_EQ(choose(penalised, std::vector<std::int32_t>{1}, logits), 2);
}

TEST(TokenChooser, RefusesWhatItCannotHonour) {
  for (const SamplingOptions& bad : {SamplingOptions{.temperature = -0.1},
                                     {.temperature = 2.1},
                                     {.temperature = NAN},
                                     {.temperature = 1, .top_k = -1},
                                     {.temperature = 1, .top_p = 0},
                                     {.temperature = 1, .top_p = 1.1},
                                     {.repetition_penalty = 0},
                                     {.repetition_penalty = INFINITY},
                                     {.no_repeat_ngram_size = -1},
                                     {.top_k = 5},
                                     {.top_p = 0.5}}) {
    EXPECT_THROW(check_sampling(bad), Error);
  }
  EXPECT_NO_THROW(check_sampling({}));
  EXPECT_NO_THROW(check_sampling({.temperature = 0.5, .top_k = 5, .top_p = 0.9, .repetition_penalty = 1.1}));
  try {
    check_sampling({.temperature = 3});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("temperature is 3"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace qasr
