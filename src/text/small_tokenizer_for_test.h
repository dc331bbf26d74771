// A tokenizer of 256 bytes, a few merges and four added tokens, as the files that describe it. For tests.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "text/byte_level.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace qasr {

/// The files' contents, for tests to damage. Byte b has id b; merge r has id 256 + r; added tokens follow at 300.
struct SmallTokenizer {
  std::vector<std::pair<std::string, std::string>> merges = {{"l", "l"}, {"h", "e"},  {"he", "ll"}, {"hell", "o"},
                                                             {"#", "#"}, {"##", "Ġ"}, {"Ã", "©"},   {"Ġ", "Ġ"}};
  nlohmann::json vocabulary = nlohmann::json::object();
  nlohmann::json added = nlohmann::json::object();  // added_tokens_decoder
  std::string vocab_json, merges_txt = "#version: 0.2\n", tokenizer_config_json, tokenizer_json;

  SmallTokenizer() {
    for (int byte = 0; byte < 256; ++byte) vocabulary[byte_level_character(static_cast<unsigned char>(byte))] = byte;
    int id = 256;
    for (const auto& [left, right] : merges) {
      vocabulary[left + right] = id++;
      merges_txt += left + ' ' + right + '\n';
    }
    id = 300;
    for (const auto& [content, special] :
         {std::pair("<|end|>", true), {"<|end|>>", true}, {"<asr_text>", false}, {"<é>", false}}) {
      added[std::to_string(id++)] = {{"content", content}, {"special", special}, {"normalized", false}};
    }
    vocab_json = vocabulary.dump();
    tokenizer_config_json = nlohmann::json{{"added_tokens_decoder", added}}.dump();
    tokenizer_json = single_file(false).dump();
  }

  /// The same as the document of a tokenizer.json; merges as arrays or as "a b".
  nlohmann::json single_file(bool merges_as_arrays) const {
    nlohmann::json merge_list = nlohmann::json::array(), token_list = nlohmann::json::array();
    for (const auto& [left, right] : merges) {
      merge_list.push_back(merges_as_arrays ? nlohmann::json{left, right} : nlohmann::json(left + ' ' + right));
    }
    for (const auto& [id, token] : added.items()) {
      token_list.push_back(token);
      token_list.back()["id"] = std::stoi(id);
    }
    const nlohmann::json split = {{"type", "Split"},
                                  {"pattern", {{"Regex", std::string(kPreTokenizerRegex)}}},
                                  {"behavior", "Isolated"},
                                  {"invert", false}};
    const nlohmann::json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
    return {{"version", "1.0"},
            {"added_tokens", token_list},
            {"normalizer", {{"type", "NFC"}}},
            {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}}},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"vocab", vocabulary}, {"merges", merge_list}}}};
  }

  TokenizerFiles files() const {
    TokenizerFiles out;
    out.vocab_json = vocab_json;
    out.merges_txt = merges_txt;
    out.tokenizer_config_json = tokenizer_config_json;
    out.where = "some/model";
    return out;
  }
};

}  // namespace qasr
