// Byte-level BPE tokenizer of Qwen2/Qwen3: text <-> token ids (Hugging Face `tokenizers` is the reference).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qasr {

struct AddedToken {
  int id = 0;
  std::string content;
  bool special = false;
};

/// Contents of the files a tokenizer is made from; empty means absent. vocab.json + merges.txt are used if both are
/// there, else tokenizer.json. Added tokens and their flags come from tokenizer_config.json (added_tokens_decoder),
/// then added_tokens.json, then tokenizer.json, the first that names one counts.
struct TokenizerFiles {
  std::string_view tokenizer_json, vocab_json, merges_txt, tokenizer_config_json, added_tokens_json;
  std::string where;  ///< for messages
};

/// Immutable after construction: one instance may be used by any number of threads.
class Tokenizer {
 public:
  /// `files` is needed during construction only.
  /// @throws Error kModel  a file missing, broken JSON, a merge whose parts or result are not in the vocabulary, ids
  ///                       that are negative or used twice, a tokenizer.json that describes another kind of tokenizer
  explicit Tokenizer(const TokenizerFiles& files);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Text -> ids. Added tokens in the text become their ids unless `split_added_tokens` is false (user-supplied
  /// text: everything is ordinary text). Invalid UTF-8 becomes U+FFFD first, as Python's errors="replace" does.
  std::vector<std::int32_t> encode(std::string_view text, bool split_added_tokens = true) const;

  /// Ids -> text: special tokens are left out if `skip_special`, invalid UTF-8 becomes U+FFFD. Ids outside the
  /// vocabulary give no text.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  /// The raw bytes of one id, possibly an incomplete UTF-8 sequence; empty for skipped special tokens and ids outside
  /// the vocabulary. Valid as long as the tokenizer.
  std::string_view token_bytes(std::int32_t id, bool skip_special = true) const;

  /// Id of an added token or a vocabulary entry given literally, as the text it stands for ("<|audio_pad|>", "system",
  /// " the", "\n"); -1 if there is none.
  std::int32_t token_id(std::string_view content) const;

  /// Largest id + 1.
  int size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Turns a stream of token bytes into whole UTF-8 characters: holds back an incomplete trailing sequence (up to three
/// bytes) and replaces invalid bytes by U+FFFD. feed() pieces + finish() equal Tokenizer::decode of all ids.
class Utf8Stream {
 public:
  /// The characters that are certain after these bytes.
  std::string feed(std::string_view bytes);
  /// What was held back, now that nothing follows; the stream is then as new.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace qasr
