// Every string of tests/golden/tokenizer and tests/golden/tokenizer_demo: the same ids and the same decoded text as
// Hugging Face tokenizers. The files are written by tools/golden/export_tokenizer.py, which describes their fields.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "support/tokenizer_folder.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace qasr {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

struct GoldenSet {
  const char* name;
  const char* golden_folder;  // in tests/golden
  std::string tokenizer_folder;
  std::size_t min_texts;
};

void PrintTo(const GoldenSet& set, std::ostream* out) { *out << set.name; }

struct Case {
  std::string line;  // as it stands in the file, for messages
  bool has_text = false;
  std::string text, decoded, decoded_skip;
  Ids ids, literal_ids;
};

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
  }
  return bytes;
}

Case parse_case(const std::string& line) {
  const json object = json::parse(line);
  Case out;
  out.line = line;
  out.has_text = object.contains("text") || object.contains("hex");
  out.text = object.contains("hex") ? from_hex(object.at("hex")) : object.value("text", "");
  out.ids = object.at("ids").get<Ids>();
  out.literal_ids = object.contains("literal_ids") ? object.at("literal_ids").get<Ids>() : out.ids;
  out.decoded = object.value("decoded", out.text);
  out.decoded_skip = object.value("decoded_skip", out.decoded);
  return out;
}

class GoldenTokenizer : public testing::TestWithParam<GoldenSet> {
 protected:
  const TokenizerFolder folder_{GetParam().tokenizer_folder};
  const std::string golden_path_ = std::string(QASR_SOURCE_DIR "/tests/golden/") + GetParam().golden_folder;

  std::vector<Case> read_cases() const {
    std::ifstream file(golden_path_ + "/cases.jsonl");
    std::vector<Case> cases;
    for (std::string line; std::getline(file, line);) cases.push_back(parse_case(line));
    return cases;
  }

  static void expect_agreement(const Tokenizer& tokenizer, const std::vector<Case>& cases) {
    for (const Case& c : cases) {
      if (c.has_text) {
        EXPECT_EQ(tokenizer.encode(c.text), c.ids) << c.line;
        EXPECT_EQ(tokenizer.encode(c.text, false), c.literal_ids) << c.line;
      }
      EXPECT_EQ(tokenizer.decode(c.ids, false), c.decoded) << c.line;
      EXPECT_EQ(tokenizer.decode(c.ids, true), c.decoded_skip) << c.line;
    }
  }
};

TEST_P(GoldenTokenizer, EveryCaseIsThere) {
  std::ifstream file(golden_path_ + "/golden.json");
  const json golden = json::parse(file);
  const std::vector<Case> cases = read_cases();
  const auto n_texts =
      static_cast<std::size_t>(std::count_if(cases.begin(), cases.end(), [](const Case& c) { return c.has_text; }));
  EXPECT_EQ(cases.size(), golden.at("n_cases").get<std::size_t>());
  EXPECT_EQ(n_texts, golden.at("n_texts").get<std::size_t>());
  EXPECT_GE(n_texts, GetParam().min_texts);
  EXPECT_EQ(Tokenizer(folder_.files()).size(), golden.at("size").get<int>());
}

TEST_P(GoldenTokenizer, VocabularyAndMergesEqualTheReference) {
  expect_agreement(Tokenizer(folder_.files()), read_cases());
}

// The same tokenizer as one tokenizer.json, merges as strings and as arrays.
json single_file(const TokenizerFolder& folder, bool merges_as_arrays) {
  json added = json::array();
  const json config = json::parse(folder.tokenizer_config_json);
  for (const auto& [id, token] : config.at("added_tokens_decoder").items()) {
    added.push_back(token);
    added.back()["id"] = std::stoi(id);
  }
  json merges = json::array();
  std::istringstream lines(folder.merges_txt);
  std::string left, right;
  std::getline(lines, left);  // #version
  while (lines >> left >> right) {
    merges.push_back(merges_as_arrays ? json::array({left, right}) : json(left + " " + right));
  }
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", std::string(kPreTokenizerRegex)}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}}},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", json::parse(folder.vocab_json)},
            {"merges", merges}}}};
}

TEST_P(GoldenTokenizer, SingleFileEqualsTheReference) {
  const std::vector<Case> cases = read_cases();
  for (const bool merges_as_arrays : {false, true}) {
    const std::string document = single_file(folder_, merges_as_arrays).dump();
    TokenizerFiles files;
    files.tokenizer_json = document;
    expect_agreement(Tokenizer(files), cases);
  }
}

// Whatever way the tokens come apart, a stream shows the text of the whole.
TEST_P(GoldenTokenizer, StreamedTokensEqualDecodedText) {
  const Tokenizer tokenizer(folder_.files());
  for (const Case& c : read_cases()) {
    for (const bool skip_special : {false, true}) {
      Utf8Stream stream;
      std::string streamed;
      for (const std::int32_t id : c.ids) {
        const std::string piece = stream.feed(tokenizer.token_bytes(id, skip_special));
        ASSERT_TRUE(is_valid_utf8(piece));
        streamed += piece;
      }
      ASSERT_EQ(streamed + stream.finish(), skip_special ? c.decoded_skip : c.decoded) << c.line;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, GoldenTokenizer,
                         testing::Values(GoldenSet{"Qwen3", "tokenizer", QASR_BINARY_DIR "/qwen3-tokenizer", 2500},
                                         GoldenSet{"Demo", "tokenizer_demo", QASR_SOURCE_DIR "/models/demo-en", 400}),
                         [](const testing::TestParamInfo<GoldenSet>& set) { return std::string(set.param.name); });

}  // namespace
}  // namespace qasr
