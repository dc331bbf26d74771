// See tokenizer_json.h. One SAX handler serves vocab.json (the root is the vocabulary) and tokenizer.json (the
// vocabulary is model.vocab, the merges are model.merges).
#include "text/tokenizer_json.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "qasr/error.h"
#include "text/vocabulary.h"

namespace qasr {
namespace {

using nlohmann::json;

// Tokenizer files are five levels deep; the limit keeps a damaged file from building a tower of values.
constexpr std::size_t kMaxDepth = 64;

// At most 40 bytes of `text`, as valid UTF-8.
std::string cut(std::string_view text) {
  constexpr std::size_t kMaxBytes = 40;
  if (text.size() <= kMaxBytes) return replace_invalid_utf8(text);
  text = text.substr(0, kMaxBytes);
  text.remove_suffix(n_incomplete_utf8_bytes(text));
  return replace_invalid_utf8(text) + "...";
}

// Appends the two parts of "left right"; false if there are not exactly two.
bool append_merge(std::string_view line, MergesText& merges) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size()) return false;
  if (line.find(' ', space + 1) != std::string_view::npos) return false;
  merges.parts.push_back(line.substr(0, space));
  merges.parts.push_back(line.substr(space + 1));
  return true;
}

class Reader : public nlohmann::json_sax<json> {
 public:
  Reader(TokenizerJson& out, bool root_is_vocabulary, const std::string& file, const std::string& where)
      : out_(out), root_is_vocabulary_(root_is_vocabulary), file_(file), where_(where) {}

  bool null() override { return value("null", nullptr); }
  bool boolean(bool flag) override { return value(flag ? "true" : "false", flag); }
  bool number_integer(number_integer_t number) override { return integer(number, number); }
  bool number_unsigned(number_unsigned_t number) override {
    return integer(static_cast<std::int64_t>(std::min<number_unsigned_t>(number, INT64_MAX)), number);
  }
  bool number_float(number_float_t number, const string_t& text) override { return value(text, number); }
  bool binary(binary_t&) override { return false; }  // not JSON

  bool string(string_t& text) override {
    if (part_ == Part::kMerge) {
      out_.merges.parts.push_back(text);
      ++n_merge_parts_;
      return true;
    }
    if (part_ == Part::kMerges) return append_merge(text, out_.merges) || bad_merge(in_quotes(text));
    return value(in_quotes(text), text);
  }

  bool key(string_t& name) override {
    if (part_ == Part::kVocabulary) {
      out_.vocabulary.contents.push_back(name);
    } else {
      path_.back() = name;
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (part_ != Part::kSettings) return value("an object", nullptr);
    if (root_is_vocabulary_ ? path_.empty() : at_model("vocab")) {
      part_ = Part::kVocabulary;
      return true;
    }
    return open(json::object());
  }

  bool end_object() override {
    if (part_ == Part::kVocabulary) {
      part_ = Part::kSettings;
      return true;
    }
    return close();
  }

  bool start_array(std::size_t) override {
    if (part_ == Part::kMerges) {
      part_ = Part::kMerge;
      n_merge_parts_ = 0;
      return true;
    }
    if (part_ != Part::kSettings) return value("an array", nullptr);
    if (!root_is_vocabulary_ && at_model("merges")) {
      part_ = Part::kMerges;
      out_.has_merges = true;
      return true;
    }
    return open(json::array());
  }

  bool end_array() override {
    if (part_ == Part::kMerge) {
      part_ = Part::kMerges;
      return n_merge_parts_ == 2 || bad_merge("an array of " + std::to_string(n_merge_parts_));
    }
    if (part_ == Part::kMerges) {
      part_ = Part::kSettings;
      return true;
    }
    return close();
  }

  bool parse_error(std::size_t position, const std::string& last_token, const json::exception&) override {
    fail_tokenizer_file(file_, "broken JSON at byte " + std::to_string(position) + " near " + in_quotes(last_token),
                        "a valid document", where_);
  }

 private:
  enum class Part { kSettings, kVocabulary, kMerges, kMerge };

  bool at_model(const char* name) const { return path_.size() == 2 && path_[0] == "model" && path_[1] == name; }

  // Any scalar, or the start of a container, where the part of the document allows one.
  template <typename T>
  bool value(const std::string& found, const T& scalar) {
    if (part_ == Part::kVocabulary) fail_tokenizer_file(file_, found + " for " + last_entry(), "an integer id", where_);
    if (part_ != Part::kSettings) return bad_merge(found);
    if (root_is_vocabulary_) fail_tokenizer_file(file_, found, "an object of tokens and ids", where_);
    add(scalar);
    return true;
  }

  template <typename T>
  bool integer(std::int64_t number, const T& scalar) {
    if (part_ != Part::kVocabulary) return value(std::to_string(number), scalar);
    out_.vocabulary.ids.push_back(number);
    return true;
  }

  bool bad_merge(const std::string& found) {
    const std::string rank = std::to_string(out_.merges.parts.size() / 2);
    fail_tokenizer_file(file_, "merge " + rank + ": " + found, "two tokens, as \"a b\" or [\"a\", \"b\"]", where_);
  }

  std::string last_entry() const { return in_quotes(out_.vocabulary.contents[out_.vocabulary.contents.size() - 1]); }

  bool open(json container) {
    if (root_is_vocabulary_) return value("an array", nullptr);
    if (open_.size() == kMaxDepth) fail_tokenizer_file(file_, "more than 64 nested levels", "a tokenizer", where_);
    open_.push_back(add(std::move(container)));
    path_.emplace_back();
    return true;
  }

  bool close() {
    open_.pop_back();
    path_.pop_back();
    return true;
  }

  json* add(json item) {
    if (open_.empty()) {
      out_.settings = std::move(item);
      return &out_.settings;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(item));
      return &parent.back();
    }
    return &(parent[path_.back()] = std::move(item));
  }

  TokenizerJson& out_;
  const bool root_is_vocabulary_;
  const std::string& file_;
  const std::string& where_;
  Part part_ = Part::kSettings;
  std::vector<json*> open_;        // containers being filled, outermost first
  std::vector<std::string> path_;  // the current key of each ("" in arrays)
  int n_merge_parts_ = 0;
};

TokenizerJson parse(std::string_view text, bool root_is_vocabulary, const std::string& file, const std::string& where) {
  TokenizerJson out;
  out.vocabulary.contents.reserve(1 << 17, text.size() / 2);
  out.vocabulary.ids.reserve(1 << 17);
  Reader reader(out, root_is_vocabulary, file, where);
  json::sax_parse(text.begin(), text.end(), &reader);
  return out;
}

}  // namespace

void StringList::reserve(std::size_t n_strings, std::size_t n_bytes) {
  ends_.reserve(n_strings);
  text_.reserve(n_bytes);
}

void StringList::push_back(std::string_view text) {
  text_.append(text);
  ends_.push_back(text_.size());
}

std::string_view StringList::operator[](std::size_t index) const {
  const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
  return std::string_view(text_).substr(begin, ends_[index] - begin);
}

VocabularyText parse_vocab_json(std::string_view text, const std::string& file, const std::string& where) {
  return parse(text, true, file, where).vocabulary;
}

TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& file, const std::string& where) {
  return parse(text, false, file, where);
}

MergesText parse_merges_txt(std::string_view text, const std::string& file, const std::string& where) {
  MergesText merges;
  merges.parts.reserve(text.size() / 6, text.size());
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    // The header only: real merges begin with '#', too.
    if (line_number == 1 && line.starts_with("#version")) continue;
    if (line.empty() && strip_space(text).empty()) break;
    if (!append_merge(line, merges)) {
      fail_tokenizer_file(file, "line " + std::to_string(line_number) + " " + in_quotes(line),
                          "two tokens separated by one space", where);
    }
  }
  return merges;
}

json parse_small_json(std::string_view text, const std::string& file, const std::string& where) {
  try {
    return json::parse(text.begin(), text.end());
  } catch (const json::parse_error& error) {
    fail_tokenizer_file(file, "broken JSON at byte " + std::to_string(error.byte), "a valid document", where);
  }
}

const json& field(const json& parent, const char* key) {
  static const json kNull;
  if (!parent.is_object()) return kNull;
  const auto found = parent.find(key);
  return found == parent.end() ? kNull : *found;
}

std::int32_t checked_id(std::int64_t id, std::string_view content, const std::string& file, const std::string& where) {
  if (id >= 0 && id < kMaxTokenId) return static_cast<std::int32_t>(id);
  fail_tokenizer_file(file, "id " + std::to_string(id) + " for " + in_quotes(content),
                      "0 to " + std::to_string(kMaxTokenId - 1), where);
}

void fail_tokenizer_file(const std::string& file, const std::string& found, const std::string& expected,
                         const std::string& where) {
  std::string message = "tokenizer: " + file + ": found " + found + ", expected " + expected;
  if (!where.empty()) message += ", in " + where;
  throw Error(ErrorCode::kModel, message);
}

std::string in_quotes(std::string_view text) { return '"' + cut(text) + '"'; }

std::string excerpt(const json& value) { return cut(value.dump(-1, ' ', false, json::error_handler_t::replace)); }

}  // namespace qasr
