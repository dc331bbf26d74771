#include "bench/closed_loop.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "bench/synthetic_tokenizer.h"
#include "qasr/error.h"
#include "text/tokenizer.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/test_files.h"

namespace qasr::bench {
namespace {

TEST(ClosedLoop, EveryClientsClipsAreCountedAndTimed) {
  const testing::TempDir folder;
  write_synthetic_checkpoint(
      folder.path(), synthetic_model("tiny_b"),
      {.dtype = DType::kF32, .tokenizer_dir = std::filesystem::path(QASR_SOURCE_DIR) / "models/demo-en"});
  const auto engine = Engine::open(folder.path(), {.n_threads = 1});
  const ClosedLoopReport report =
      run_closed_loop(engine, {.concurrency = 3, .clip_s = 2, .segment_s = 1, .tokens_per_s = 4, .rounds = 2});
  EXPECT_EQ(report.n_clips, 6);
  EXPECT_GT(report.audio_s_per_s, 0);
  EXPECT_NEAR(report.tokens_per_s / report.audio_s_per_s, 4 * report.token_share, 1e-6);
  EXPECT_GT(report.token_share, 0.4);
  EXPECT_LE(report.token_share, 1);
  EXPECT_GT(report.first_token_p50_ms, 0);
  EXPECT_LE(report.first_token_p50_ms, report.first_token_p95_ms);
  EXPECT_LE(report.first_token_p95_ms, report.clip_p95_ms);
  EXPECT_THROW(run_closed_loop(engine, {.concurrency = 0}), Error);
  EXPECT_THROW(run_closed_loop(engine, {.clip_s = 0}), Error);
  EXPECT_THROW(run_closed_loop(engine, {.clip_s = 2, .tokens_per_s = 1e6, .rounds = 1}), Error);  // beyond the model
}

TEST(SyntheticTokenizer, HasTheOfficialIdsAndTextForAllTokens) {
  const testing::TempDir folder;
  write_synthetic_tokenizer(folder.path());
  const auto text = [&](const char* name) {
    std::ostringstream all;
    all << std::ifstream(folder.path() / name).rdbuf();
    return all.str();
  };
  const std::string vocab = text("vocab.json"), merges = text("merges.txt"), config = text("tokenizer_config.json");
  const Tokenizer tokenizer(
      {.vocab_json = vocab, .merges_txt = merges, .tokenizer_config_json = config, .where = "here"});
  EXPECT_EQ(tokenizer.token_id("<|audio_pad|>"), 151676);
  EXPECT_EQ(tokenizer.token_id("<asr_text>"), 151704);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\n\xc3\xa4")), "a\n\xc3\xa4");
  EXPECT_EQ(tokenizer.token_bytes(151642), "151642w");
}

}  // namespace
}  // namespace qasr::bench
