// Prompt ids, of recognisers and of the aligner, with the real Qwen3 vocabulary: contexts, forced languages, added
// tokens in user text. Golden data: tests/golden/prompt, written by tools/golden/export_prompt.py.
#include <gtest/gtest.h>

#include "golden_support.h"
#include "model/align_prompt.h"
#include "model/prompt.h"
#include "support/tokenizer_folder.h"

namespace qasr::testing {
namespace {

TEST(GoldenPrompt, IdsEqualTheReference) {
  const nlohmann::json golden = read_json(source_path("tests/golden/prompt/golden.json"));
  const TokenizerFolder folder = qwen3_tokenizer_folder();
  const Tokenizer tokenizer(folder.files());
  const PromptBuilder prompt(tokenizer, 151676, folder.path);
  int n_with_added_tokens = 0;
  for (const nlohmann::json& entry : golden.at("cases")) {
    const std::string context = entry.at("context").get<std::string>();
    const std::string language = entry.at("language").get<std::string>();
    const std::vector<std::int32_t> ids = prompt.build(context, language, entry.at("n_audio_tokens").get<int>());
    EXPECT_EQ(ids, entry.at("ids").get<std::vector<std::int32_t>>()) << "context \"" << context << "\", " << language;
    if (entry.contains("ids_if_added_tokens_were_split")) {
      ++n_with_added_tokens;
      EXPECT_NE(ids, entry.at("ids_if_added_tokens_were_split").get<std::vector<std::int32_t>>()) << context;
    }
  }
  EXPECT_GE(golden.at("cases").size(), 60U);
  EXPECT_GE(n_with_added_tokens, 5);
}

ModelConfig aligner_config(int timestamp_id) {
  ModelConfig config;
  config.is_forced_aligner = true;
  config.audio_token_id = 151676;
  config.timestamp_token_id = timestamp_id;
  return config;
}

std::vector<std::int32_t> aligner_ids(const AlignPromptBuilder& prompt, const std::vector<std::string>& words) {
  std::vector<std::vector<std::int32_t>> ids;
  for (const std::string& word : words) ids.push_back(prompt.encode_word(word));
  return prompt.build(3, ids).ids;
}

// The example of the specification, whose ids were made with the official package.
TEST(AlignPrompt, BothSlotsFollowTheirWord) {
  const TokenizerFolder folder = qwen3_tokenizer_folder();
  const Tokenizer tokenizer(folder.files());
  const AlignPromptBuilder prompt(tokenizer, aligner_config(151705), folder.path);
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(aligner_ids(prompt, {"Hello", "world"}),
            (Ids{151669, 151676, 151676, 151676, 151670, 9707, 151705, 151705, 14615, 151705, 151705}));
  EXPECT_EQ(aligner_ids(prompt, {}), (Ids{151669, 151676, 151676, 151676, 151670}));
  const AlignPrompt layout = prompt.build(2, std::vector<Ids>{{5, 6}, {7}});
  EXPECT_EQ(layout.slots, (Ids{6, 7, 9, 10}));
  EXPECT_EQ(layout.ids.size(), AlignPromptBuilder::n_control_ids(2) + 2 + 3);
}

TEST(AlignPrompt, SlotIdsOfTokenizerAndConfigurationAgree) {
  const TokenizerFolder qwen3 = qwen3_tokenizer_folder(), demo(source_path("models/demo-en").string());
  const Tokenizer without_slot(qwen3.files()), with_slot(demo.files());
  ModelConfig config = aligner_config(1535);
  config.audio_token_id = 1533;
  EXPECT_NO_THROW(AlignPromptBuilder(with_slot, config, demo.path));
  config.timestamp_token_id = -1;
  EXPECT_NO_THROW(AlignPromptBuilder(with_slot, config, demo.path));
  config.timestamp_token_id = 1534;
  EXPECT_THROW(AlignPromptBuilder(with_slot, config, demo.path), Error);
  EXPECT_THROW(AlignPromptBuilder(without_slot, aligner_config(-1), qwen3.path), Error);
}

}  // namespace
}  // namespace qasr::testing
