#include "model/prefix_cache.h"

#include <algorithm>

namespace qasr {

PrefixCache::PrefixCache(Backend& backend, KvPool& pool, std::size_t max_prefixes)
    : backend_(backend), pool_(pool), max_prefixes_(max_prefixes) {}

bool PrefixCache::is_worth_keeping(std::size_t n_ids) const {
  return n_ids > 0 && (backend_.copies_kv_pages() || n_ids >= static_cast<std::size_t>(KvPool::kPageTokens));
}

PrefixCache::Entry* PrefixCache::find(std::span<const std::int32_t> prefix) {
  const auto equal = [&](const Entry& entry) {
    return std::equal(entry.ids.begin(), entry.ids.end(), prefix.begin(), prefix.end());
  };
  const auto found = std::find_if(entries_.begin(), entries_.end(), equal);
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return &entries_.front();
}

bool PrefixCache::prepare(const TextDecoder& decoder, std::span<const std::int32_t> prefix, std::int64_t max_rows,
                          DecoderWorkspace& workspace) {
  if (!is_worth_keeping(prefix.size())) return true;
  Entry* entry = find(prefix);
  if (entry == nullptr) {
    KvSequence sequence(pool_);
    sequence.reserve(static_cast<int>(prefix.size()));
    entries_.push_front({{prefix.begin(), prefix.end()}, std::move(sequence)});
    entry = &entries_.front();
    if (entries_.size() > max_prefixes_) entries_.pop_back();
  }
  const auto n_done = static_cast<std::size_t>(entry->sequence.length());
  if (n_done == prefix.size()) return true;
  const std::size_t n_rows = std::min(prefix.size() - n_done, static_cast<std::size_t>(max_rows));
  const PrefillInput input[] = {{&entry->sequence, prefix.subspan(n_done, n_rows), {}}};
  decoder.extend(input, workspace);
  return n_done + n_rows == prefix.size();
}

void PrefixCache::begin(std::span<const std::int32_t> prefix, KvSequence& sequence) {
  const Entry* entry = find(prefix);
  if (entry == nullptr || static_cast<std::size_t>(entry->sequence.length()) < prefix.size()) return;
  const std::size_t n_full = prefix.size() / KvPool::kPageTokens;
  const std::span<const std::int32_t> pages = entry->sequence.pages();
  sequence.share_pages(pages.first(n_full));
  const int n_rest = static_cast<int>(prefix.size() % KvPool::kPageTokens);
  if (n_rest == 0 || !backend_.copies_kv_pages()) return;
  sequence.reserve(static_cast<int>(prefix.size()));
  backend_.copy_kv_page(pool_.cache(), pages[n_full], sequence.pages()[n_full]);
  sequence.advance(n_rest);
}

}  // namespace qasr
