#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "text/small_tokenizer_for_test.h"

namespace qasr {
namespace {

using Ids = std::vector<std::int32_t>;

class TokenizerTest : public testing::Test {
 protected:
  const Tokenizer tokenizer_{SmallTokenizer().files()};
};

TEST_F(TokenizerTest, MergesWithinPreTokensOnly) {
  EXPECT_EQ(tokenizer_.encode(""), Ids());
  EXPECT_EQ(tokenizer_.encode("hello"), (Ids{259}));
  EXPECT_EQ(tokenizer_.encode("hello hello"), (Ids{259, ' ', 259}));
  EXPECT_EQ(tokenizer_.encode("## x"), (Ids{260, ' ', 'x'}));  // "## " would be one token if merges crossed
  EXPECT_EQ(tokenizer_.encode("hel"), (Ids{257, 'l'}));
}

TEST_F(TokenizerTest, MergesThatBeginWithHashAreNotComments) { EXPECT_EQ(tokenizer_.encode("##"), (Ids{260})); }

TEST_F(TokenizerTest, NormalisesToNfc) {
  EXPECT_EQ(tokenizer_.encode("\u00E9"), (Ids{262}));
  EXPECT_EQ(tokenizer_.encode("e\u0301"), (Ids{262}));
  EXPECT_EQ(tokenizer_.encode("e<|end|>\u0301"), (Ids{'e', 300, 0xCC, 0x81}));  // each piece by itself
}

TEST_F(TokenizerTest, AddedTokensAreCutOutLongestFirst) {
  EXPECT_EQ(tokenizer_.encode("hello<|end|>hello"), (Ids{259, 300, 259}));
  EXPECT_EQ(tokenizer_.encode("<|end|>>"), (Ids{301}));
  EXPECT_EQ(tokenizer_.encode("<|end|><|end|>>"), (Ids{300, 301}));
  EXPECT_EQ(tokenizer_.encode("<<asr_text>"), (Ids{'<', 302}));
  EXPECT_EQ(tokenizer_.encode("<asr_text"), tokenizer_.encode("<asr_text", false));
  EXPECT_EQ(tokenizer_.encode("<ASR_TEXT>").size(), 10u);
}

TEST_F(TokenizerTest, AddedTokensOfUsersAreOrdinaryText) {
  EXPECT_EQ(tokenizer_.encode("<|end|>", false), (Ids{'<', '|', 'e', 'n', 'd', '|', '>'}));
  EXPECT_EQ(tokenizer_.decode(tokenizer_.encode("<|end|>", false)), "<|end|>");
}

TEST_F(TokenizerTest, InvalidUtf8BecomesTheReplacementCharacter) {
  EXPECT_EQ(tokenizer_.encode("h\xFF"), (Ids{'h', 0xEF, 0xBF, 0xBD}));
  EXPECT_EQ(tokenizer_.encode("\xE0\xA0"), (Ids{0xEF, 0xBF, 0xBD}));
}

TEST_F(TokenizerTest, DecodingSkipsSpecialTokensOnRequest) {
  const Ids ids = {300, 259, 302, 301};
  EXPECT_EQ(tokenizer_.decode(ids), "hello<asr_text>");
  EXPECT_EQ(tokenizer_.decode(ids, false), "<|end|>hello<asr_text><|end|>>");
  EXPECT_EQ(tokenizer_.decode(Ids{303}), "<é>");
}

TEST_F(TokenizerTest, DecodingRepairsTheWholeNotEachToken) {
  EXPECT_EQ(tokenizer_.decode(Ids{0xC3, 0xA9}), "é");
  EXPECT_EQ(tokenizer_.decode(Ids{0xC3, 300, 0xA9}), "é");  // a skipped token leaves no trace
  EXPECT_EQ(tokenizer_.decode(Ids{0xC3, 300, 0xA9}, false), "\uFFFD<|end|>\uFFFD");
  EXPECT_EQ(tokenizer_.decode(Ids{0xF0, 0x9F, 'x'}), "\uFFFDx");
}

TEST_F(TokenizerTest, UnknownIdsGiveNothing) {
  EXPECT_EQ(tokenizer_.decode(Ids{-1, 'a', 299, 304, INT32_MAX, INT32_MIN}), "a");
  EXPECT_EQ(tokenizer_.token_bytes(299), "");
  EXPECT_EQ(tokenizer_.token_bytes(-1), "");
}

TEST_F(TokenizerTest, SingleTokens) {
  EXPECT_EQ(tokenizer_.token_bytes(0xC3), "\xC3");
  EXPECT_EQ(tokenizer_.token_bytes(263), "  ");
  EXPECT_EQ(tokenizer_.token_bytes(300), "");
  EXPECT_EQ(tokenizer_.token_bytes(300, false), "<|end|>");
  EXPECT_EQ(tokenizer_.token_bytes(302), "<asr_text>");
  EXPECT_EQ(tokenizer_.token_id("<|end|>"), 300);
  EXPECT_EQ(tokenizer_.token_id("hello"), 259);
  EXPECT_EQ(tokenizer_.token_id("\n"), '\n');
  EXPECT_EQ(tokenizer_.token_id("hello "), -1);
  EXPECT_EQ(tokenizer_.token_id(""), -1);
  EXPECT_EQ(tokenizer_.size(), 304);
}

TEST_F(TokenizerTest, OneInstanceServesManyThreads) {
  const std::string text = "hello ## e\u0301<|end|> hell 123";
  const Ids expected = tokenizer_.encode(text);
  std::vector<std::thread> threads;
  std::vector<int> n_right(4);
  for (int& count : n_right) {
    threads.emplace_back([&, this] {
      for (int round = 0; round < 500; ++round) {
        count += tokenizer_.encode(text) == expected && tokenizer_.decode(expected).size() == text.size() - 8;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_right, std::vector<int>(4, 500));
}

TEST_F(TokenizerTest, StreamedBytesEqualDecodedText) {
  const Ids ids = {259, 0xF0, 300, 0x9F, 302, 0xC3, 0xA9, 0xE2, 0x82};
  Utf8Stream stream;
  std::string streamed;
  for (const std::int32_t id : ids) streamed += stream.feed(tokenizer_.token_bytes(id));
  EXPECT_EQ(streamed + stream.finish(), tokenizer_.decode(ids));
}

}  // namespace
}  // namespace qasr
