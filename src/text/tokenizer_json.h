// Reads the JSON files of a tokenizer without making a JSON value of every vocabulary entry: the large parts
// (150,000 entries, 150,000 merges) stream into flat lists, the rest becomes an ordinary document.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace qasr {

inline constexpr const char* kTokenizerJson = "tokenizer.json";
inline constexpr const char* kVocabJson = "vocab.json";
inline constexpr const char* kMergesTxt = "merges.txt";
inline constexpr const char* kTokenizerConfigJson = "tokenizer_config.json";
inline constexpr const char* kAddedTokensJson = "added_tokens.json";

/// Strings one after another in one buffer.
class StringList {
 public:
  void reserve(std::size_t n_strings, std::size_t n_bytes);
  void push_back(std::string_view text);
  std::size_t size() const { return ends_.size(); }
  std::string_view operator[](std::size_t index) const;
  std::size_t n_bytes() const { return text_.size(); }

 private:
  std::string text_;
  std::vector<std::size_t> ends_;
};

/// A vocabulary as the files write it: byte-level characters and their ids, in file order.
struct VocabularyText {
  StringList contents;
  std::vector<std::int64_t> ids;  // [contents.size()]
};

/// Merges as the files write them: left and right part alternate, by rank.
struct MergesText {
  StringList parts;  // [2 * n_merges]
};

struct TokenizerJson {
  nlohmann::json settings;  // the whole document, with model.vocab and model.merges empty
  VocabularyText vocabulary;
  MergesText merges;
  bool has_merges = false;  // a list model.merges, maybe empty
};

/// `file` and `where` are for messages. All throw Error kModel.
VocabularyText parse_vocab_json(std::string_view text, const std::string& file, const std::string& where);
MergesText parse_merges_txt(std::string_view text, const std::string& file, const std::string& where);
/// Accepts both ways to write a merge: "a b" and ["a", "b"].
TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& file, const std::string& where);
nlohmann::json parse_small_json(std::string_view text, const std::string& file, const std::string& where);

/// parent[key]; null if the parent is no object or has no such key.
const nlohmann::json& field(const nlohmann::json& parent, const char* key);

/// `id` if it can be a token id. @throws Error kModel
std::int32_t checked_id(std::int64_t id, std::string_view content, const std::string& file, const std::string& where);

/// Throws Error kModel: "tokenizer: <file>: found <found>, expected <expected>, in <where>".
[[noreturn]] void fail_tokenizer_file(const std::string& file, const std::string& found, const std::string& expected,
                                      const std::string& where);

/// `text` in quotes for a message, cut to a readable length.
std::string in_quotes(std::string_view text);
/// The same for any JSON value, as it stands in the file.
std::string excerpt(const nlohmann::json& value);

}  // namespace qasr
