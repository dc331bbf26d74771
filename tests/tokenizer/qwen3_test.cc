// Encodings with the Qwen3 vocabulary that a reader can follow: one line per pitfall. The large comparison is
// golden_test.cc.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "qasr/languages.h"
#include "support/tokenizer_folder.h"
#include "text/tokenizer.h"

namespace qasr {
namespace {

using namespace std::string_literals;
using Ids = std::vector<std::int32_t>;

class Qwen3Tokenizer : public testing::Test {
 protected:
  static void SetUpTestSuite() { tokenizer_ = std::make_unique<Tokenizer>(qwen3_tokenizer_folder().files()); }
  static void TearDownTestSuite() { tokenizer_.reset(); }
  static Ids encode(const std::string& text) { return tokenizer_->encode(text); }

  static inline std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(Qwen3Tokenizer, Words) {
  EXPECT_EQ(encode("hello world"), (Ids{14990, 1879}));
  EXPECT_EQ(encode("Hello"), (Ids{9707}));
  EXPECT_EQ(encode("the quick brown fox"), (Ids{1782, 3974, 13876, 38835}));
  EXPECT_EQ(
      encode("And so, my fellow Americans, ask not what your country can do for you; ask what you can do for your "
             "country."),
      (Ids{3036, 773, 11,  847, 12357, 8877, 11,  2548, 537, 1128, 697, 3146, 646,
           653,  369, 498, 26,  2548,  1128, 498, 646,  653, 369,  697, 3146, 13}));
}

TEST_F(Qwen3Tokenizer, Contractions) {
  EXPECT_EQ(encode("it's a test, isn't it?"), (Ids{275, 594, 264, 1273, 11, 4436, 944, 432, 30}));
  EXPECT_EQ(encode("IT'S 100% OK..."), (Ids{952, 13272, 220, 16, 15, 15, 4, 10402, 1112}));
  EXPECT_EQ(encode("don't DON'T Don\u2019t"), (Ids{15007, 944, 44273, 17323, 4320, 1405}));
  EXPECT_EQ(encode("we'll've"), (Ids{896, 3278, 3003}));
}

TEST_F(Qwen3Tokenizer, WhiteSpace) {
  EXPECT_EQ(encode("   trailing   spaces"), (Ids{256, 27748, 256, 12621}));
  EXPECT_EQ(encode("a  b"), (Ids{64, 220, 293}));
  EXPECT_EQ(encode("a   b"), (Ids{64, 256, 293}));
  EXPECT_EQ(encode(" "), (Ids{220}));
  EXPECT_EQ(encode("  "), (Ids{256}));
  EXPECT_EQ(encode("   "), (Ids{262}));
  EXPECT_EQ(encode("\n"), (Ids{198}));
  EXPECT_EQ(encode("\n\n"), (Ids{271}));
  EXPECT_EQ(encode(" \n"), (Ids{715}));
  EXPECT_EQ(encode("\n "), (Ids{198, 220}));
  EXPECT_EQ(encode("a \n b"), (Ids{64, 715, 293}));
  EXPECT_EQ(encode("line1\nline2"), (Ids{1056, 16, 198, 1056, 17}));
  EXPECT_EQ(encode("  \n\n a\tb\r\nc"), (Ids{18611, 264, 2233, 319, 66}));
  EXPECT_EQ(encode("ok\r\n\r\nok"), (Ids{562, 871, 562}));
  EXPECT_EQ(encode("hi!\n"), (Ids{6023, 4894}));
  EXPECT_EQ(encode("\u00A0x"), (Ids{4102, 87}));
  EXPECT_EQ(encode("\u3000x"), (Ids{22441, 87}));
}

TEST_F(Qwen3Tokenizer, DigitsOneByOne) {
  EXPECT_EQ(encode("digits: 12345 and 678"), (Ids{60770, 25, 220, 16, 17, 18, 19, 20, 323, 220, 21, 22, 23}));
  EXPECT_EQ(encode("1 2  3"), (Ids{16, 220, 17, 220, 220, 18}));
  EXPECT_EQ(encode("3.14159"), (Ids{18, 13, 16, 19, 16, 20, 24}));
}

TEST_F(Qwen3Tokenizer, CodeAndNames) {
  EXPECT_EQ(encode("foo_bar(baz)[0];"), (Ids{7975, 14388, 1883, 1370, 6620, 15, 5265}));
  EXPECT_EQ(encode("Qwen3-ASR, vLLM"), (Ids{48, 16948, 18, 12, 1911, 49, 11, 348, 4086, 44}));
  EXPECT_EQ(encode("##"), (Ids{565}));  // one of the merges that look like comments in merges.txt
}

TEST_F(Qwen3Tokenizer, Scripts) {
  EXPECT_EQ(encode("mixed АБВ and 日本語"), (Ids{56685, 56755, 60332, 16206, 323, 75402, 21894, 102819}));
  EXPECT_EQ(encode("你好,世界"), (Ids{108386, 11, 99489}));
  EXPECT_EQ(encode("北京 Shanghai"), (Ids{68990, 37047}));
  EXPECT_EQ(encode("Москва 2024"), (Ids{37991, 22787, 137303, 220, 17, 15, 17, 19}));
  EXPECT_EQ(encode("ありがとう ございます"), (Ids{85690, 220, 135384}));
  EXPECT_EQ(encode("안녕하세요"), (Ids{126246, 144370, 91145}));
  EXPECT_EQ(encode("नमस्ते"), (Ids{60096, 87244, 78368, 30484, 97, 34370}));
  EXPECT_EQ(encode("สวัสดี"), (Ids{143126, 23271, 125136, 28319}));
  EXPECT_EQ(encode("مرحبا بالعالم"), (Ids{124122, 29825, 124671, 124476, 129634}));
  EXPECT_EQ(encode("tiếng Việt"), (Ids{10251, 26068, 968, 128324}));
  EXPECT_EQ(encode("naïve café — “quotes”"), (Ids{3376, 37572, 586, 51950, 1959, 1036, 53282, 854}));
  EXPECT_EQ(encode("emoji: 😀 🎉"), (Ids{37523, 25, 90316, 11162, 236, 231}));
}

TEST_F(Qwen3Tokenizer, Normalisation) {
  EXPECT_EQ(encode("e\u0301cole école"), (Ids{134670, 3958, 55645}));
  EXPECT_EQ(encode("\u212B"), (Ids{144044}));
  EXPECT_EQ(encode("A\u030A"), (Ids{144044}));
  EXPECT_EQ(encode("\u1100\u1161"), (Ids{19969}));
  EXPECT_EQ(encode("가"), (Ids{19969}));
  EXPECT_EQ(encode("\uFB01"), (Ids{144300}));  // a ligature is not taken apart by NFC
}

TEST_F(Qwen3Tokenizer, BytesAndAddedTokens) {
  EXPECT_EQ(encode("x\0y"s), (Ids{87, 188, 88}));
  EXPECT_EQ(encode("Hello<|im_end|>world"), (Ids{9707, 151645, 14615}));
  EXPECT_EQ(encode("!"), (Ids{0}));
  EXPECT_EQ(encode("\""), (Ids{1}));
  EXPECT_EQ(encode("A"), (Ids{32}));
  EXPECT_EQ(encode("a"), (Ids{64}));
  EXPECT_EQ(encode("\t"), (Ids{197}));
  EXPECT_EQ(encode("\0"s), (Ids{188}));
  EXPECT_EQ(encode(" the"), (Ids{279}));
}

TEST_F(Qwen3Tokenizer, IdsOfThePrompt) {
  const std::vector<std::pair<const char*, std::int32_t>> tokens = {{"<|endoftext|>", 151643},
                                                                    {"<|im_start|>", 151644},
                                                                    {"<|im_end|>", 151645},
                                                                    {"<|audio_start|>", 151669},
                                                                    {"<|audio_end|>", 151670},
                                                                    {"<|audio_pad|>", 151676},
                                                                    {"<asr_text>", 151704},
                                                                    {"system", 8948},
                                                                    {"user", 872},
                                                                    {"assistant", 77091},
                                                                    {"\n", 198},
                                                                    {"language", 11528}};
  for (const auto& [content, id] : tokens) {
    EXPECT_EQ(tokenizer_->token_id(content), id) << content;
    EXPECT_EQ(tokenizer_->token_bytes(id, false), content);
    EXPECT_EQ(encode(content), (Ids{id}));
  }
  EXPECT_EQ(tokenizer_->size(), 151705);
  EXPECT_EQ(tokenizer_->decode(Ids{151644, 11528, 6364, 151704, 9707, 13, 151645}), "language English<asr_text>Hello.");
}

// What follows "language" when a language is forced; in the order of languages().
TEST_F(Qwen3Tokenizer, LanguageNames) {
  const std::vector<Ids> expected = {{8453},  {6364},  {72366, 2367}, {34117}, {5938},  {8585},        {15154}, {42188},
                                     {58829}, {14811}, {16134},       {8522},  {26392}, {48477},       {10769}, {23734},
                                     {43980}, {79140}, {23234},       {30109}, {43680}, {57853},       {31984}, {33150},
                                     {62417}, {49861}, {17860},       {73597}, {56769}, {56452, 75491}};
  ASSERT_EQ(expected.size(), languages().size());
  for (std::size_t language = 0; language < expected.size(); ++language) {
    Ids ids = {11528};
    ids.insert(ids.end(), expected[language].begin(), expected[language].end());
    ids.push_back(151704);
    EXPECT_EQ(encode("language " + std::string(languages()[language].name) + "<asr_text>"), ids);
  }
  EXPECT_EQ(encode("language None<asr_text>"), (Ids{11528, 2240, 151704}));
}

}  // namespace
}  // namespace qasr
