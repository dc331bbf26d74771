// Where a tokenizer's parts may come from, and what is said about files that are wrong.
#include "text/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "qasr/error.h"
#include "text/small_tokenizer_for_test.h"

namespace qasr {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const char* const kText = "hello ## he\u0301 <|end|> <asr_text> 12";

// ---- sources ----

std::vector<std::int32_t> encode(const TokenizerFiles& files) { return Tokenizer(files).encode(kText); }

TEST(TokenizerFiles, SingleFileEqualsVocabularyAndMerges) {
  const SmallTokenizer small;
  for (const bool merges_as_arrays : {false, true}) {
    const std::string document = small.single_file(merges_as_arrays).dump(2);
    TokenizerFiles files;
    files.tokenizer_json = document;
    EXPECT_EQ(encode(files), encode(small.files()));
    EXPECT_EQ(Tokenizer(files).size(), 304);
  }
}

TEST(TokenizerFiles, VocabularyAndMergesArePreferred) {
  const SmallTokenizer small;
  TokenizerFiles files = small.files();
  files.tokenizer_json = "{ broken";
  EXPECT_EQ(encode(files), encode(small.files()));
  files.merges_txt = {};
  EXPECT_THROW(Tokenizer{files}, Error);
}

TEST(TokenizerFiles, NoNormalizerMeansNone) {
  const SmallTokenizer small;
  for (const char* normalizer : {"null", R"({"type": "Sequence", "normalizers": []})"}) {
    json document = small.single_file(true);
    document["normalizer"] = json::parse(normalizer);
    const std::string text = document.dump();
    TokenizerFiles files;
    files.tokenizer_json = text;
    EXPECT_EQ(Tokenizer(files).encode("e\u0301").size(), 3u);
  }
}

TEST(TokenizerFiles, AddedTokensFromAddedTokensJson) {
  const SmallTokenizer small;
  TokenizerFiles files = small.files();
  files.added_tokens_json = R"({"<|end|>": 400, "<|pad|>": 401, "<plain>": 402})";
  files.tokenizer_config_json = R"({"eos_token": "<|end|>", "pad_token": {"content": "<|pad|>"}})";
  const Tokenizer tokenizer(files);
  EXPECT_EQ(tokenizer.encode("<|end|><plain><|pad|>"), (std::vector<std::int32_t>{400, 402, 401}));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{400, 402, 401}), "<plain>");
}

TEST(TokenizerFiles, TokenizerConfigDecidesAboutFlags) {
  const SmallTokenizer small;
  TokenizerFiles files;
  const std::string document = small.single_file(true).dump();
  files.tokenizer_json = document;
  files.added_tokens_json = R"({"<|end|>": 300, "<new>": 310})";  // says nothing about flags
  files.tokenizer_config_json = R"({"added_tokens_decoder": {"302": {"content": "<asr_text>", "special": true}}})";
  const Tokenizer tokenizer(files);
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{300, 302, 303, 310}), "<é><new>");
}

TEST(TokenizerFiles, NormalizedAddedTokensAreFoundAfterNormalisation) {
  SmallTokenizer small;
  small.added["303"]["normalized"] = true;
  const std::string config = json{{"added_tokens_decoder", small.added}}.dump();
  TokenizerFiles files = small.files();
  EXPECT_EQ(Tokenizer(files).encode("<e\u0301>").size(), 3u);
  files.tokenizer_config_json = config;
  EXPECT_EQ(Tokenizer(files).encode("<e\u0301>"), (std::vector<std::int32_t>{303}));
}

TEST(TokenizerFiles, AddedTokensMayStandInTheVocabulary) {
  SmallTokenizer small;
  small.vocabulary["<|end|>"] = 300;
  const std::string vocabulary = small.vocabulary.dump();
  TokenizerFiles files = small.files();
  files.vocab_json = vocabulary;
  EXPECT_EQ(encode(files), encode(small.files()));
}

TEST(TokenizerFiles, LineEndsOfOtherSystemsAndBlankLinesAtTheEnd) {
  const SmallTokenizer small;
  std::string merges;
  for (const char c : small.merges_txt) merges += c == '\n' ? std::string("\r\n") : std::string(1, c);
  merges += "\r\n\n";
  TokenizerFiles files = small.files();
  files.merges_txt = merges;
  EXPECT_EQ(encode(files), encode(small.files()));
  const std::string headless = small.merges_txt.substr(small.merges_txt.find('\n') + 1);
  files.merges_txt = headless;
  EXPECT_EQ(encode(files), encode(small.files()));
}

// ---- damage ----

std::string message_of(const TokenizerFiles& files) {
  try {
    Tokenizer tokenizer(files);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
    return error.what();
  }
  return "no error";
}

std::string message_with_vocabulary(const std::function<void(json&)>& damage) {
  SmallTokenizer small;
  damage(small.vocabulary);
  small.vocab_json = small.vocabulary.dump();
  return message_of(small.files());
}

std::string message_with_vocab_json(std::string text) {
  SmallTokenizer small;
  small.vocab_json = std::move(text);
  return message_of(small.files());
}

std::string message_with_merges(std::string text) {
  SmallTokenizer small;
  small.merges_txt = std::move(text);
  return message_of(small.files());
}

std::string message_with_config(std::string text) {
  SmallTokenizer small;
  small.tokenizer_config_json = std::move(text);
  return message_of(small.files());
}

std::string message_with_single_file(const std::function<void(json&)>& damage) {
  json document = SmallTokenizer().single_file(true);
  damage(document);
  const std::string text = document.dump();
  TokenizerFiles files;
  files.tokenizer_json = text;
  files.where = "some/model";
  return message_of(files);
}

testing::Matcher<std::string> says(const std::string& file, const std::string& found, const std::string& expected) {
  return AllOf(testing::StartsWith("tokenizer: " + file + ": found "), HasSubstr(found),
               HasSubstr("expected " + expected), testing::EndsWith("in some/model"));
}

TEST(BadTokenizerFiles, Missing) {
  TokenizerFiles files;
  files.where = "some/model";
  EXPECT_THAT(message_of(files), says("vocab.json", "nothing", "a vocabulary here or in tokenizer.json"));
  EXPECT_THAT(message_with_vocab_json(""), says("vocab.json", "an empty one", "a vocabulary"));
  EXPECT_THAT(message_with_merges(""), says("merges.txt", "no such file", "merges here"));
}

TEST(BadTokenizerFiles, BrokenJson) {
  EXPECT_THAT(message_with_vocab_json("{\"a\": 1,"), says("vocab.json", "broken JSON at byte 9", "a valid document"));
  EXPECT_THAT(message_with_vocab_json(" \n"), says("vocab.json", "broken JSON at byte", "a valid document"));
  EXPECT_THAT(message_with_vocab_json("{\"a\": 1}}"), says("vocab.json", "broken JSON", "a valid document"));
  EXPECT_THAT(message_with_vocab_json("{\"\xFF\": 1}"), says("vocab.json", "broken JSON", "a valid document"));
  EXPECT_THAT(message_with_config("{"), says("tokenizer_config.json", "broken JSON at byte 2", "a valid document"));
  TokenizerFiles files;
  files.where = "some/model";
  files.tokenizer_json = "{\"model\": {\"vocab\": {\"a\"";
  EXPECT_THAT(message_of(files), says("tokenizer.json", "broken JSON", "a valid document"));
  const std::string deep = "{\"x\":" + std::string(100000, '[');
  files.tokenizer_json = deep;
  EXPECT_THAT(message_of(files), says("tokenizer.json", "64 nested levels", "a tokenizer"));
}

TEST(BadTokenizerFiles, VocabularyOfTheWrongKind) {
  EXPECT_THAT(message_with_vocab_json("[]"), says("vocab.json", "an array", "an object of tokens"));
  EXPECT_THAT(message_with_vocab_json("7"), says("vocab.json", "7", "an object of tokens"));
  EXPECT_THAT(message_with_vocab_json("{\"a\": \"b\"}"), says("vocab.json", "\"b\" for \"a\"", "an integer id"));
  EXPECT_THAT(message_with_vocab_json("{\"a\": 1.5}"), says("vocab.json", "1.5 for \"a\"", "an integer id"));
  EXPECT_THAT(message_with_vocab_json("{\"a\": {}}"), says("vocab.json", "an object for \"a\"", "an integer id"));
  EXPECT_THAT(message_with_vocab_json("{\"a\": [1]}"), says("vocab.json", "an array for \"a\"", "an integer id"));
  EXPECT_THAT(message_with_vocab_json("{}"), says("vocab.json", "no entry", "an entry for each of the 256 bytes"));
  EXPECT_THAT(message_with_vocabulary([](json& vocabulary) { vocabulary.erase("Ġ"); }),
              says("vocab.json", "no entry \"Ġ\" for byte 32", "an entry for each of the 256 bytes"));
}

TEST(BadTokenizerFiles, Ids) {
  EXPECT_THAT(message_with_vocabulary([](json& vocabulary) { vocabulary["a"] = -5; }),
              says("vocab.json", "id -5 for \"a\"", "0 to 4194303"));
  EXPECT_THAT(message_with_vocabulary([](json& vocabulary) { vocabulary["a"] = 4194304; }),
              says("vocab.json", "id 4194304 for \"a\"", "0 to 4194303"));
  EXPECT_THAT(message_with_vocabulary([](json& vocabulary) { vocabulary["a"] = UINT64_MAX; }),
              says("vocab.json", "for \"a\"", "0 to 4194303"));
  EXPECT_THAT(message_with_vocabulary([](json& vocabulary) { vocabulary["hello"] = 256; }),
              says("vocab.json", "id 256 for both \"hello\" and \"ll\"", "ids that differ"));
  EXPECT_THAT(message_with_vocab_json("{\"a\": 1, \"a\": 2}"),
              says("vocab.json", "ids 1 and 2 for the same token \"a\"", "tokens that differ"));
}

TEST(BadTokenizerFiles, Merges) {
  EXPECT_THAT(message_with_merges("#version: 0.2\nl l\nh e x\n"),
              says("merges.txt", "line 3 \"h e x\"", "two tokens separated by one space"));
  EXPECT_THAT(message_with_merges("ll\n"), says("merges.txt", "line 1 \"ll\"", "two tokens"));
  EXPECT_THAT(message_with_merges("l l\n\nh e\n"), says("merges.txt", "line 2 \"\"", "two tokens"));
  EXPECT_THAT(message_with_merges("l l\n# a comment\n"), says("merges.txt", "line 2", "two tokens"));
  EXPECT_THAT(message_with_merges("hello \n"), says("merges.txt", "line 1", "two tokens"));
  EXPECT_THAT(message_with_merges("l l\nxy l\n"),
              says("merges.txt", "merge 1 \"xy l\", whose \"xy\" is not in the vocabulary", "merges of known tokens"));
  EXPECT_THAT(message_with_merges("l qq\n"), says("merges.txt", "whose \"qq\" is not", "merges of known tokens"));
  EXPECT_THAT(message_with_merges("l o\n"), says("merges.txt", "whose \"lo\" is not", "merges of known tokens"));
  EXPECT_THAT(message_with_merges("l 你\n"), says("merges.txt", "whose \"你\" is not", "merges of known tokens"));
  EXPECT_THAT(message_with_merges(std::string(1000, 'x')), says("merges.txt", "xxx...\"", "two tokens"));
}

TEST(BadTokenizerFiles, AddedTokens) {
  EXPECT_THAT(message_with_config("[]"), says("tokenizer_config.json", "[]", "an object"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": [1]})"),
              says("tokenizer_config.json", "[1]", "an object"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"30x": {"content": "<a>"}}})"),
              says("tokenizer_config.json", "added token id \"30x\"", "a number"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"": {"content": "<a>"}}})"),
              says("tokenizer_config.json", "added token id \"\"", "a number"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"-3": {"content": "<a>"}}})"),
              says("tokenizer_config.json", "id -3 for \"<a>\"", "0 to"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"300": {"special": true}}})"),
              says("tokenizer_config.json", "for added token 300", "an object with \"content\""));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"300": {"content": ""}}})"),
              says("tokenizer_config.json", "an empty added token with id 300", "some text"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"257": {"content": "<a>"}}})"),
              says("tokenizer_config.json", "id 257 for both \"he\" and \"<a>\"", "ids that differ"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"300": {"content": "hello"}}})"),
              says("tokenizer_config.json", "ids 259 and 300", "tokens that differ"));
  EXPECT_THAT(message_with_config(R"({"added_tokens_decoder": {"300": {"content": "<a>", "lstrip": true}}})"),
              says("tokenizer_config.json", "lstrip for added token \"<a>\"", "added tokens that match literally"));
  EXPECT_THAT(message_with_config(R"({"add_prefix_space": true})"),
              says("tokenizer_config.json", "add_prefix_space true", "false"));
  SmallTokenizer small;
  TokenizerFiles files = small.files();
  files.added_tokens_json = R"({"<a>": 300})";
  EXPECT_THAT(message_of(files), says("tokenizer_config.json", "id 300 for both", "ids that differ"));
  files.added_tokens_json = R"({"<a>": "300"})";
  EXPECT_THAT(message_of(files), says("added_tokens.json", "\"300\"", "an integer id"));
  files.added_tokens_json = "[]";
  EXPECT_THAT(message_of(files), says("added_tokens.json", "[]", "an object"));
}

TEST(BadTokenizerFiles, OtherKindsOfTokenizer) {
  const auto with = [](const char* pointer, const json& value) {
    return message_with_single_file([&](json& document) { document[json::json_pointer(pointer)] = value; });
  };
  EXPECT_THAT(with("/model/type", "WordPiece"), says("tokenizer.json", "WordPiece", "\"BPE\""));
  EXPECT_THAT(with("/model/ignore_merges", true), says("tokenizer.json", "ignore_merges true", "null or false"));
  EXPECT_THAT(with("/model/byte_fallback", true), says("tokenizer.json", "byte_fallback true", "null or false"));
  EXPECT_THAT(with("/model/dropout", 0.1), says("tokenizer.json", "dropout 0.1", "null"));
  EXPECT_THAT(with("/normalizer/type", "NFKC"), says("tokenizer.json", "normalizer \"NFKC\"", "\"NFC\""));
  EXPECT_THAT(with("/pre_tokenizer/pretokenizers/0/pattern/Regex", "\\s+"),
              says("tokenizer.json", "Split pattern", ""));
  EXPECT_THAT(with("/pre_tokenizer", nullptr), says("tokenizer.json", "pre_tokenizer type null", "\"Sequence\""));
  EXPECT_THAT(with("/pre_tokenizer/pretokenizers", json::object({{"a", 1}, {"b", 2}})),
              says("tokenizer.json", "first pre_tokenizer step null", "\"Split\""));
  EXPECT_THAT(with("/pre_tokenizer/pretokenizers/1/add_prefix_space", true), says("tokenizer.json", "true", "false"));
  EXPECT_THAT(with("/decoder/type", "WordPiece"), says("tokenizer.json", "decoder type", "\"ByteLevel\""));
  EXPECT_THAT(with("/post_processor", {{"type", "TemplateProcessing"}}), says("tokenizer.json", "post_processor", ""));
  EXPECT_THAT(with("/model/vocab", json::array()), says("tokenizer.json", "no entry", "an entry for each"));
  EXPECT_THAT(with("/model/merges", {"he ll o"}), says("tokenizer.json", "merge 0: \"he ll o\"", "two tokens"));
  EXPECT_THAT(with("/model/merges", {{"he"}}), says("tokenizer.json", "merge 0: an array of 1", "two tokens"));
  EXPECT_THAT(with("/model/merges", json::parse(R"([["l", "l"], ["he", 5]])")),
              says("tokenizer.json", "merge 1: 5", "two tokens"));
  EXPECT_THAT(with("/model/merges", json::object()), says("tokenizer.json", "no list model.merges", "merges"));
  EXPECT_THAT(with("/model/merges", {nullptr}), says("tokenizer.json", "merge 0: null", "two tokens"));
  EXPECT_THAT(with("/added_tokens/0/id", "x"), says("tokenizer.json", "added token", "an object with an integer"));
  EXPECT_THAT(with("/added_tokens", {5}), says("tokenizer.json", "added token 5", "an object with an integer"));
}

TEST(BadTokenizerFiles, EveryTruncationIsReported) {
  const SmallTokenizer small;
  for (std::size_t size = 0; size < small.tokenizer_json.size(); ++size) {
    TokenizerFiles files;
    files.where = "some/model";
    files.tokenizer_json = std::string_view(small.tokenizer_json).substr(0, size);
    ASSERT_THAT(message_of(files), testing::StartsWith("tokenizer: ")) << size;
  }
}

}  // namespace
}  // namespace qasr
