// Who is in: admission, displacement, removal. Preparation is in batch_prepare.cc, decoding in batch_decode.cc.
#include "engine/batch_runner.h"

#include <algorithm>
#include <string>

namespace qasr {
namespace {

constexpr int kCpuBatch = 8, kGpuBatch = 64;
constexpr std::int64_t kCpuRows = 208, kCpuLiveRows = 104, kGpuLiveRows = 1024;
constexpr std::int64_t kCommonPositions = 4096;  // of a sequence: minutes of audio
constexpr int kGrowthTokens = 64;                // of an answer, that must have room when it is admitted
constexpr std::size_t kPrefixes = 8;

bool is_gpu(const Backend& backend) { return backend.run_ahead_steps() > 0; }

void erase_value(std::vector<DecodeRun*>& runs, const DecodeRun* run) {
  runs.erase(std::remove(runs.begin(), runs.end(), run), runs.end());
}

std::int64_t pool_positions(const Backend& backend, const TextDecoderConfig& config, std::uint64_t bytes, int max_batch,
                            DType dtype) {
  const std::uint64_t per_position = KvPool::bytes_per_position(config, dtype);
  const bool automatic = bytes == 0;
  if (automatic) bytes = backend.available_bytes() / 2;
  const std::int64_t each = automatic ? kCommonPositions : config.max_positions;
  const std::int64_t useful = std::max<std::int64_t>(config.max_positions, each * max_batch);
  return std::min(useful, static_cast<std::int64_t>(bytes / per_position)) / KvPool::kPageTokens * KvPool::kPageTokens;
}

}  // namespace

BatchRunner::BatchRunner(Backend& backend, const Model& model, const SchedulerOptions& options, DType kv_dtype)
    : backend_(backend), model_(model), kv_dtype_(kv_dtype) {
  const bool gpu = is_gpu(backend);
  limits_.max_batch = options.max_batch > 0 ? options.max_batch : gpu ? kGpuBatch : kCpuBatch;
  const std::int64_t chosen = options.max_rows_between_steps, most = backend.preferred_rows();
  limits_.rows_per_piece = std::min(chosen > 0 ? chosen : gpu ? most : kCpuRows, most);
  limits_.live_rows_per_piece = std::min(chosen > 0 ? chosen : gpu ? kGpuLiveRows : kCpuLiveRows, most);
  limits_.pool_positions =
      pool_positions(backend, model.config().text, options.kv_cache_bytes, limits_.max_batch, kv_dtype);
}

bool BatchRunner::make_free(int n_pages) {
  if (pool_->n_free_pages() < n_pages) prefixes_->drop_all();
  while (pool_->n_free_pages() < n_pages && !parked_.empty()) {
    parked_.front()->sequence.reset();
    parked_.erase(parked_.begin());
  }
  return pool_->n_free_pages() >= n_pages;
}

// Where the address space is limited, less than was planned may have to do.
void BatchRunner::make_pool(std::int64_t least_positions) {
  for (std::int64_t n_positions = limits_.pool_positions;; n_positions /= 2) {
    try {
      pool_ = std::make_unique<KvPool>(backend_, model_.config().text, n_positions, kv_dtype_);
      prefixes_ = std::make_unique<PrefixCache>(backend_, *pool_, kPrefixes);
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory || n_positions / 2 < least_positions) throw;
    }
  }
}

bool BatchRunner::admit(DecodeRun& run) {
  if (pool_ == nullptr) make_pool(static_cast<std::int64_t>(run.prompt.size()) + run.max_tokens);
  const bool was_parked = std::find(parked_.begin(), parked_.end(), &run) != parked_.end();
  erase_value(parked_, &run);  // not to be dropped for its own sake
  const int tokens_left = run.max_tokens - static_cast<int>(run.ids.size());
  const int growth = std::max(std::min(tokens_left, kGrowthTokens), static_cast<int>(run.draft.size()) + 1);
  const int n_positions = static_cast<int>(run.n_cached_ids()) + growth;
  const int n_held = run.sequence ? static_cast<int>(run.sequence->pages().size()) : 0;
  if (!make_free(KvPool::pages_for(n_positions) - n_held)) {
    if (was_parked) parked_.push_back(&run);
    if (!runs_.empty()) return false;
    throw Error(ErrorCode::kOutOfMemory, "KV cache: a segment needs " + std::to_string(n_positions) +
                                             " positions, there is memory for " + std::to_string(pool_->n_positions()));
  }
  if (!run.sequence) run.sequence.emplace(*pool_);
  run.sequence->reserve(n_positions);
  runs_.push_back(&run);
  (run.audio == nullptr ? to_encode_ : to_prefill_).push_back(&run);
  return true;
}

// Out of every list, pages back.
void BatchRunner::forget(DecodeRun& run) {
  for (auto* list : {&runs_, &to_encode_, &to_prefill_, &decoding_, &ended_, &displaced_, &parked_}) {
    erase_value(*list, &run);
  }
  if (prefill_pass_ &&
      std::find(prefill_pass_->runs.begin(), prefill_pass_->runs.end(), &run) != prefill_pass_->runs.end()) {
    prefill_pass_.reset();  // its pages will be others'; what the pass has computed counts for nobody yet
  }
  for (EncodeGroup& group : groups_) std::replace(group.runs.begin(), group.runs.end(), &run, (DecodeRun*)nullptr);
  run.sequence.reset();
}

void BatchRunner::remove(DecodeRun& run) {
  forget(run);
  run.audio.reset();
}

void BatchRunner::park(DecodeRun& run, int n_positions) {
  std::optional<KvSequence> sequence = std::exchange(run.sequence, std::nullopt);
  remove(run);
  if (!sequence || sequence->length() < n_positions) return;
  sequence->shrink(n_positions);
  run.sequence = std::move(sequence);
  parked_.push_back(&run);
}

void BatchRunner::displace(DecodeRun& run) { forget(run); }

DecodeRun* BatchRunner::displace_below(Priority priority) {
  DecodeRun* victim = nullptr;
  for (DecodeRun* run : runs_) {
    if (run->end != RunEnd::kNone || run->priority >= priority) continue;
    if (victim == nullptr || run->order > victim->order) victim = run;
  }
  if (victim != nullptr) displace(*victim);
  return victim;
}

std::vector<DecodeRun*> BatchRunner::take_displaced() { return std::exchange(displaced_, {}); }
std::vector<DecodeRun*> BatchRunner::take_ended() { return std::exchange(ended_, {}); }

bool BatchRunner::has(Priority priority) const {
  return std::any_of(runs_.begin(), runs_.end(), [&](const DecodeRun* run) { return run->priority == priority; });
}

void BatchRunner::end_run(DecodeRun& run, RunEnd end, const Error* error) {
  for (auto* list : {&to_encode_, &to_prefill_, &decoding_}) erase_value(*list, &run);
  run.end = end;
  if (error != nullptr) run.error = *error;
  ended_.push_back(&run);
}

void BatchRunner::restart(DecodeRun& run) {
  QASR_CHECK(run.sequence && run.sequence->length() + 1 >= static_cast<int>(run.prompt.size()));
  run.ids.clear();
  run.log_probs.clear();
  run.end = RunEnd::kNone;
  run.verdict = Verdict::kHealthy;
  run.sequence->truncate(static_cast<int>(run.prompt.size()) - 1);
  decoding_.push_back(&run);
}

}  // namespace qasr
