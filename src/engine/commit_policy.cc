#include "engine/commit_policy.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"

namespace qasr {
namespace {

constexpr std::string_view kPunctuation = ",.;:?!";
// A token less likely than all others together is unsure: twice as many hypotheses must agree on it.
constexpr float kUnsureLogProb = -0.6931472F;  // log(1/2)
constexpr std::size_t kUnsureFactor = 2;

// A token that begins a word, or belongs to a script that writes without spaces.
bool begins_word(std::string_view bytes) {
  if (bytes.empty()) return true;
  const auto first = static_cast<unsigned char>(bytes.front());
  return first == ' ' || first == '\n' || first == '\t' || first >= 0xE0;
}

bool is_punctuation(std::string_view bytes) {
  return !bytes.empty() && bytes.find_first_not_of(kPunctuation) == std::string_view::npos;
}

}  // namespace

CommitTracker::CommitTracker(const CommitSettings& settings, const Tokenizer& tokenizer, bool forced_language)
    : settings_(settings),
      tokenizer_(tokenizer),
      forced_language_(forced_language),
      text_tag_(tokenizer.token_id("<asr_text>")) {}

std::size_t CommitTracker::add(std::span<const std::int32_t> hypothesis, std::span<const float> log_probs) {
  QASR_CHECK(log_probs.size() == hypothesis.size());
  ++n_steps_;
  std::size_t n_tokens = 0;
  if (settings_.policy == CommitPolicy::kAgreement) n_tokens = agreed(hypothesis, log_probs);
  if (settings_.policy == CommitPolicy::kOfficial) n_tokens = official(hypothesis);
  before_.emplace_front(hypothesis.begin(), hypothesis.end());
  if (before_.size() >= kUnsureFactor * static_cast<std::size_t>(settings_.agreement)) before_.pop_back();
  return commit(hypothesis, n_tokens);
}

std::size_t CommitTracker::at_pause(std::span<const std::int32_t> hypothesis) {
  if (settings_.policy != CommitPolicy::kAgreement) return n_committed_;
  return commit(hypothesis, without_punctuation(hypothesis, hypothesis.size()));
}

// The words at the beginning that this hypothesis and the ones before have in common; from the first unsure token on,
// this one and more of those before.
std::size_t CommitTracker::agreed(std::span<const std::int32_t> hypothesis, std::span<const float> log_probs) const {
  const auto agreement = static_cast<std::size_t>(settings_.agreement);
  const std::size_t n_shared_sure = n_shared(hypothesis, agreement);
  std::size_t n_tokens = std::min(n_shared_sure, n_shared(hypothesis, kUnsureFactor * agreement));
  while (n_tokens < n_shared_sure && log_probs[n_tokens] >= kUnsureLogProb) ++n_tokens;
  // A word with nothing behind it may be cut off by the end of the audio, twice in the same way.
  if (n_tokens == hypothesis.size()) n_tokens = before_last_word(hypothesis);
  return without_punctuation(hypothesis, at_word_end(hypothesis, n_tokens));
}

// Tokens at the beginning that the last n_hypotheses have in common, this one among them; 0: there are not as many.
std::size_t CommitTracker::n_shared(std::span<const std::int32_t> hypothesis, std::size_t n_hypotheses) const {
  if (before_.size() + 1 < n_hypotheses) return 0;
  std::size_t n_tokens = hypothesis.size();
  for (std::size_t index = 0; index + 1 < n_hypotheses; ++index) {
    const std::vector<std::int32_t>& other = before_[index];
    const auto end = std::mismatch(hypothesis.begin(), hypothesis.end(), other.begin(), other.end()).first;
    n_tokens = std::min(n_tokens, static_cast<std::size_t>(end - hypothesis.begin()));
  }
  return n_tokens;
}

std::size_t CommitTracker::before_last_word(std::span<const std::int32_t> hypothesis) const {
  std::size_t n_tokens = hypothesis.size();
  while (n_tokens > 0 && is_punctuation(tokenizer_.token_bytes(hypothesis[n_tokens - 1]))) --n_tokens;
  if (n_tokens > 0) --n_tokens;
  return at_word_end(hypothesis, n_tokens);
}

// All but the last K tokens, K larger while that would cut a character.
std::size_t CommitTracker::official(std::span<const std::int32_t> hypothesis) const {
  if (n_steps_ <= settings_.unfixed_chunks) return 0;
  const auto n_unfixed = static_cast<std::size_t>(settings_.unfixed_tokens);
  for (std::size_t n_tokens = hypothesis.size() - std::min(hypothesis.size(), n_unfixed); n_tokens > 0; --n_tokens) {
    std::string bytes;
    for (const std::int32_t id : hypothesis.first(n_tokens)) bytes += tokenizer_.token_bytes(id);
    if (n_incomplete_utf8_bytes(bytes) == 0) return n_tokens;
  }
  return 0;
}

// Not more than n_tokens, so that what follows begins a word: the token behind the last agreed one may prolong its
// word.
std::size_t CommitTracker::at_word_end(std::span<const std::int32_t> hypothesis, std::size_t n_tokens) const {
  while (n_tokens > 0 && n_tokens < hypothesis.size()) {
    const std::string_view next = tokenizer_.token_bytes(hypothesis[n_tokens]);
    if (begins_word(next) || is_punctuation(next)) break;
    --n_tokens;
  }
  return n_tokens;
}

std::size_t CommitTracker::without_punctuation(std::span<const std::int32_t> hypothesis, std::size_t n_tokens) const {
  if (n_tokens < hypothesis.size()) return n_tokens;  // words follow it
  while (n_tokens > 0 && is_punctuation(tokenizer_.token_bytes(hypothesis[n_tokens - 1]))) --n_tokens;
  return n_tokens;
}

std::size_t CommitTracker::first_text_token(std::span<const std::int32_t> hypothesis) const {
  if (forced_language_) return 0;
  const auto tag = std::find(hypothesis.begin(), hypothesis.end(), text_tag_);
  return tag == hypothesis.end() ? hypothesis.size() : static_cast<std::size_t>(tag - hypothesis.begin()) + 1;
}

std::size_t CommitTracker::commit(std::span<const std::int32_t> hypothesis, std::size_t n_tokens) {
  if (n_tokens > first_text_token(hypothesis)) n_committed_ = std::max(n_committed_, n_tokens);
  return n_committed_;
}

}  // namespace qasr
