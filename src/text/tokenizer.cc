// See tokenizer.h. Encoding: added tokens are cut out of the raw text, the rest is normalised (NFC), cut into
// pre-tokens and merged by BPE. Decoding: concatenate the bytes of the ids and repair the UTF-8 of the whole.
// Source: Qwen2Tokenizer in Hugging Face transformers 5.17, which configures Hugging Face tokenizers.
#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/nfc.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace qasr {
namespace {

// Calls on_text(piece) and on_token(id) in the order in which text and added tokens alternate.
template <typename OnText, typename OnToken>
void split(std::string_view text, const AddedTokenMatcher& matcher, OnText on_text, OnToken on_token) {
  std::size_t from = 0;
  while (const auto match = matcher.find(text, from)) {
    on_text(text.substr(from, match->begin - from));
    on_token(match->id);
    from = match->begin + match->n_bytes;
  }
  on_text(text.substr(from));
}

// Tokens found after normalisation are normalised themselves.
std::vector<AddedToken> normalized(std::vector<AddedToken> tokens, bool nfc) {
  if (!nfc) return tokens;
  std::string storage;
  for (AddedToken& token : tokens) token.content = std::string(to_nfc(token.content, storage));
  return tokens;
}

}  // namespace

struct Tokenizer::Impl {
  // What one call of encode() carries from pre-token to pre-token.
  struct Encoding {
    std::vector<std::int32_t> ids;
    Bpe::Scratch scratch;
    std::string nfc_storage;
  };

  explicit Impl(TokenizerData data);
  void encode_piece(std::string_view piece, bool split_added_tokens, Encoding& encoding) const;
  void encode_normalized(std::string_view text, Encoding& encoding) const;
  bool is_special(std::int32_t id) const { return std::binary_search(special_ids.begin(), special_ids.end(), id); }

  Vocabulary vocabulary;
  Bpe bpe;
  AddedTokenMatcher raw_tokens, normalized_tokens;
  std::vector<std::int32_t> special_ids;  // ascending
  bool nfc;
};

Tokenizer::Impl::Impl(TokenizerData data)
    : vocabulary(std::move(data.vocabulary)),
      bpe(data.byte_ids, data.merges),
      raw_tokens(data.added_tokens),
      normalized_tokens(normalized(data.normalized_added_tokens, data.nfc)),
      nfc(data.nfc) {
  for (const auto* tokens : {&data.added_tokens, &data.normalized_added_tokens}) {
    for (const AddedToken& token : *tokens) {
      if (token.special) special_ids.push_back(token.id);
    }
  }
  std::sort(special_ids.begin(), special_ids.end());
}

void Tokenizer::Impl::encode_normalized(std::string_view text, Encoding& encoding) const {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = next_pre_token(text, begin);
    bpe.encode(text.substr(begin, end - begin), encoding.scratch, encoding.ids);
    begin = end;
  }
}

// A piece of text between added tokens.
void Tokenizer::Impl::encode_piece(std::string_view piece, bool split_added_tokens, Encoding& encoding) const {
  const std::string_view text = nfc ? to_nfc(piece, encoding.nfc_storage) : piece;
  if (!split_added_tokens) return encode_normalized(text, encoding);
  split(
      text, normalized_tokens, [&](std::string_view part) { encode_normalized(part, encoding); },
      [&](std::int32_t id) { encoding.ids.push_back(id); });
}

Tokenizer::Tokenizer(const TokenizerFiles& files) : impl_(std::make_unique<Impl>(read_tokenizer_files(files))) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool split_added_tokens) const {
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = replace_invalid_utf8(text);
  Impl::Encoding encoding;
  if (!split_added_tokens) {
    impl_->encode_piece(text, false, encoding);
    return std::move(encoding.ids);
  }
  split(
      text, impl_->raw_tokens, [&](std::string_view piece) { impl_->encode_piece(piece, true, encoding); },
      [&](std::int32_t id) { encoding.ids.push_back(id); });
  return std::move(encoding.ids);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) bytes += token_bytes(id, skip_special);
  return replace_invalid_utf8(bytes);
}

std::string_view Tokenizer::token_bytes(std::int32_t id, bool skip_special) const {
  return skip_special && impl_->is_special(id) ? std::string_view() : impl_->vocabulary.bytes(id);
}

std::int32_t Tokenizer::token_id(std::string_view content) const { return impl_->vocabulary.find(content); }

int Tokenizer::size() const { return impl_->vocabulary.size(); }

}  // namespace qasr
