// Decode steps of all runs that are ready, hop 9 of the walk.
#include <algorithm>
#include <iterator>

#include "base/stopwatch.h"
#include "engine/attempt.h"
#include "engine/batch_runner.h"

namespace qasr {
namespace {

// On backends that run ahead: steps before the scheduler looks around again, unless something has changed. Each time
// the backend waits for the host once.
constexpr int kBurstSteps = 64, kLeastBurstSteps = 8;

}  // namespace

std::vector<DecodeRun*> BatchRunner::ready(Priority least) const {
  std::vector<DecodeRun*> runs;
  std::copy_if(decoding_.begin(), decoding_.end(), std::back_inserter(runs),
               [&](const DecodeRun* run) { return run->priority >= least; });
  return runs;
}

// Pages for n_steps more ids of every run that decodes, or for one; takes them from the youngest if need be. Returns
// the number of steps there is room for; 0: no run is left.
int BatchRunner::make_room_for_steps(int n_steps, Priority least) {
  for (;;) {
    const std::vector<DecodeRun*> runs = ready(least);
    if (runs.empty()) return 0;
    int missing = 0;
    for (const DecodeRun* run : runs) {
      missing += std::max(
          0, KvPool::pages_for(run->sequence->length() + n_steps) - static_cast<int>(run->sequence->pages().size()));
    }
    if (make_free(missing)) {
      for (DecodeRun* run : runs) run->sequence->reserve(run->sequence->length() + n_steps);
      return n_steps;
    }
    if (n_steps > 1) {
      n_steps /= 2;
      continue;
    }
    DecodeRun* victim = nullptr;
    for (DecodeRun* run : runs_) {
      if (run->end != RunEnd::kNone) continue;
      const bool lower = victim == nullptr || run->priority < victim->priority ||
                         (run->priority == victim->priority && run->order > victim->order);
      if (lower) victim = run;
    }
    if (runs_.size() == 1) {
      const Error error(ErrorCode::kOutOfMemory, "KV cache: its " + std::to_string(pool_->n_positions()) +
                                                     " positions are too few for one segment; raise kv_cache_bytes");
      end_run(*victim, RunEnd::kFailed, &error);
      return 0;
    }
    displace(*victim);
    displaced_.push_back(victim);
  }
}

void BatchRunner::decode(Priority least, const std::atomic<bool>& has_changed) {
  const int ahead = model_.decoder().run_ahead_steps();
  int n_steps = ahead == 0 ? 1 : has_preparation() ? ahead + 1 : kBurstSteps;
  for (const DecodeRun* run : ready(least)) {
    n_steps = std::min(n_steps, run->max_tokens - static_cast<int>(run->ids.size()));
  }
  n_steps = make_room_for_steps(std::max(1, n_steps), least);
  if (n_steps == 0) return;
  const std::vector<DecodeRun*> runs = ready(least);
  const auto error = attempt("decoding", [&] { run_steps(runs, n_steps, has_changed); });
  if (!error) return;
  decode_workspace_.reads.reset();  // steps under way are not read
  for (DecodeRun* run : runs) {
    if (run->end == RunEnd::kNone) end_run(*run, RunEnd::kFailed, &*error);
  }
}

void BatchRunner::run_steps(std::span<DecodeRun* const> runs, int n_steps, const std::atomic<bool>& has_changed) {
  const Stopwatch stopwatch;
  const TextDecoder& decoder = model_.decoder();
  std::vector<KvSequence*> sequences;
  std::vector<std::int32_t> ids;
  std::vector<float> log_probs(runs.size());
  std::vector<RowChoice> choices;
  bool want_log_probs = false, most_likely = true;
  for (DecodeRun* run : runs) {
    sequences.push_back(&*run->sequence);
    ids.push_back(run->last_id());
    choices.push_back(run->chooser.choice(run->ids));
    most_likely = most_likely && run->chooser.takes_most_likely();
    want_log_probs = want_log_probs || run->wants_log_probs;
  }
  if (most_likely) choices.clear();
  decode_workspace_.want_log_probs = want_log_probs;
  decoder.start_steps(ids, decode_workspace_, choices, n_steps);
  const int ahead = std::min(decoder.run_ahead_steps(), n_steps - 1);
  int under_way = 0, n_enqueued = 0;
  bool any_ended = false;
  while (under_way > 0 || (!any_ended && n_steps > 0)) {
    if (!any_ended && n_steps > 0) {
      decoder.enqueue_step(sequences, decode_workspace_);
      if (++n_enqueued >= kLeastBurstSteps && has_changed) n_steps = 1;
      --n_steps;
      if (++under_way <= ahead) continue;
    }
    ++n_decode_steps_;
    n_decode_rows_ += runs.size();
    decoder.read_step(decode_workspace_, ids, want_log_probs ? std::span(log_probs) : std::span<float>());
    --under_way;
    for (std::size_t row = 0; row < runs.size(); ++row) {
      DecodeRun& run = *runs[row];
      if (run.end != RunEnd::kNone) continue;  // its later steps were under way already
      run.chooser.advance();
      ++run.n_decode_steps;
      accept(run, ids[row], log_probs[row]);
      any_ended = any_ended || run.end != RunEnd::kNone;
    }
  }
  const double ms = stopwatch.ms() / static_cast<double>(runs.size());
  for (DecodeRun* run : runs) run->timings.text_generation_ms += ms;
}

EngineLoad BatchRunner::load() const {
  EngineLoad load{.n_sequences = static_cast<int>(runs_.size()),
                  .max_batch = limits_.max_batch,
                  .n_decode_steps = n_decode_steps_,
                  .n_decode_rows = n_decode_rows_};
  if (pool_ != nullptr) {
    load.n_kv_pages = pool_->n_pages();
    load.n_kv_pages_used = load.n_kv_pages - pool_->n_free_pages();
  }
  return load;
}

void BatchRunner::accept(DecodeRun& run, std::int32_t id, float log_prob) {
  run.ids.push_back(id);
  if (run.wants_log_probs) run.log_probs.push_back(run.scripted_tokens > 0 ? 0 : log_prob);
  ++run.timings.n_generated_tokens;
  if (run.scripted_tokens > 0) {
    if (run.ids.size() >= run.scripted_tokens) end_run(run, RunEnd::kTokenLimit);
    return;
  }
  const std::vector<int>& end_ids = model_.config().eos_token_ids;
  if (std::find(end_ids.begin(), end_ids.end(), id) != end_ids.end()) {
    end_run(run, RunEnd::kEndToken);
  } else if ((run.verdict = run.guard.add(id)) != Verdict::kHealthy) {
    end_run(run, RunEnd::kGuard);
  } else if (run.ids.size() >= static_cast<std::size_t>(run.max_tokens)) {
    end_run(run, RunEnd::kTokenLimit);
  }
  if (run.listener != nullptr) run.listener->on_token(run);
}

}  // namespace qasr
