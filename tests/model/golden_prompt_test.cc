// Prompt ids with the real Qwen3 vocabulary: contexts, forced languages, added tokens in user text.
// Golden data: tests/golden/prompt, written by tools/golden/export_prompt.py.
#include <gtest/gtest.h>

#include "golden_support.h"
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

}  // namespace
}  // namespace qasr::testing
