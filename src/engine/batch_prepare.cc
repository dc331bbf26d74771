// Preparing admitted runs: log-mel and encoder in groups, window by window; then the prompts' rows. Hops 5 to 8 of the
// walk, a bounded piece per call.
#include <algorithm>

#include "base/stopwatch.h"
#include "engine/attempt.h"
#include "engine/batch_runner.h"
#include "engine/live_audio.h"

namespace qasr {
namespace {

constexpr double kSlice_ms = 4;  // of an offline piece, while live runs may come

// Live first, then the older.
bool goes_first(const DecodeRun* a, const DecodeRun* b) {
  return a->priority != b->priority ? a->priority > b->priority : a->order < b->order;
}

}  // namespace

BatchRunner::EncodeGroup* BatchRunner::find_group(Priority priority) {
  const auto found = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const EncodeGroup& group) { return group.priority == priority; });
  return found == groups_.end() ? nullptr : &*found;
}

bool BatchRunner::has_preparation(Priority priority) const {
  const auto is_of = [&](const auto& runs) {
    return std::any_of(runs.begin(), runs.end(), [&](const DecodeRun* run) { return run->priority == priority; });
  };
  return is_of(to_prefill_) || is_of(to_encode_) ||
         std::any_of(groups_.begin(), groups_.end(), [&](const auto& group) { return group.priority == priority; });
}

// Slices make sense where the host computes: a device's passes are short and under way on their own.
bool BatchRunner::slices(Priority priority) const {
  return priority == Priority::kOffline && expects_live_ && !runs_ahead();
}

EncoderWorkspace& BatchRunner::encoder_workspace(Priority priority) {
  return priority == Priority::kLive && !runs_ahead() ? live_encoder_workspace_ : encoder_workspace_;
}

DecoderWorkspace& BatchRunner::prefill_workspace(Priority priority) {
  return priority == Priority::kLive && !runs_ahead() ? live_prefill_workspace_ : prefill_workspace_;
}

// Prompts before audio: what is prefilled can be decoded.
void BatchRunner::prepare(Priority priority) {
  if (!has_preparation(priority)) return;
  if (priority == Priority::kOffline && prefill_pass_ && continue_prefill()) return;
  const auto is_of = [&](const DecodeRun* run) { return run->priority == priority; };
  if (std::any_of(to_prefill_.begin(), to_prefill_.end(), is_of)) return prefill_piece(priority);
  EncodeGroup* found = find_group(priority);
  EncodeGroup& group = found != nullptr ? *found : start_group(priority);
  if (const auto error = attempt("encoding", [&] { encode_piece(group); })) fail_group(group, *error);
}

// Takes runs of one kind out of to_encode_, as many as make a piece.
BatchRunner::EncodeGroup& BatchRunner::start_group(Priority priority) {
  std::stable_sort(to_encode_.begin(), to_encode_.end(), goes_first);
  EncodeGroup& group = groups_.emplace_back();
  group.priority = priority;
  auto next = std::find_if(to_encode_.begin(), to_encode_.end(),
                           [&](const DecodeRun* run) { return run->priority == priority; });
  const DecodeRun& first = **next;
  std::size_t n_rows = 0;
  while (next != to_encode_.end()) {
    DecodeRun* run = *next;
    n_rows += run->n_audio_tokens;
    const bool fits =
        group.runs.empty() ||
        (n_rows <= static_cast<std::size_t>(limits_.rows_per_piece) && run->padding == first.padding &&
         run->priority == priority && !run->alone && !first.alone && run->live == nullptr && first.live == nullptr);
    if (!fits) break;
    group.runs.push_back(run);
    next = to_encode_.erase(next);
  }
  return group;
}

// Log-mel of all recordings of a group, and the windows that encode_piece will take.
void BatchRunner::compute_features(EncodeGroup& group) {
  const Stopwatch stopwatch;
  if (spare_front_ends_.empty()) spare_front_ends_.push_back(std::make_unique<FrontEndWorkspace>());
  group.front_end = std::move(spare_front_ends_.back());
  spare_front_ends_.pop_back();
  std::vector<std::span<const float>> recordings;
  std::int64_t n_rows = 0;
  for (DecodeRun* run : group.runs) {  // a removed one keeps its place, without samples
    recordings.push_back(run == nullptr ? std::span<const float>() : run->samples);
    if (run == nullptr) continue;
    run->first_audio_row = n_rows;
    n_rows += static_cast<std::int64_t>(run->n_audio_tokens);
  }
  const std::span<const AudioFeatures> features = model_.front_end().compute(recordings, *group.front_end);
  for (std::size_t index = 0; index < group.runs.size(); ++index) {
    DecodeRun* run = group.runs[index];
    if (run == nullptr) continue;
    for (AudioEncoder::Window& window : model_.encoder().cut_windows(features.subspan(index, 1), run->padding)) {
      group.windows.push_back(std::move(window));
      group.window_run.push_back(index);
    }
    run->timings.n_frames += features[index].n_frames;
    run->timings.n_audio_tokens += static_cast<int>(run->n_audio_tokens);
    run->timings.preprocessing_ms +=
        stopwatch.ms() * static_cast<double>(run->n_audio_tokens) / static_cast<double>(n_rows);
  }
  group.audio = std::make_shared<DeviceTensor>();
  group.audio->resize(backend_, {n_rows, model_.config().text.hidden});
}

// The next windows that belong to runs which are still there, as many as make a piece.
void BatchRunner::encode_piece(EncodeGroup& group) {
  const auto is_removed = [&](std::size_t window) { return group.runs[group.window_run[window]] == nullptr; };
  const auto n_left = std::count_if(group.runs.begin(), group.runs.end(), [](const DecodeRun* run) { return run; });
  if (n_left == 0) return finish_group(group);
  if (group.runs.front() != nullptr && group.runs.front()->live != nullptr) return encode_live_piece(group);
  if (group.front_end == nullptr) compute_features(group);
  while (!group.pass && group.next_window < group.windows.size() && is_removed(group.next_window)) {
    group.next_row += group.windows[group.next_window++].n_tokens;
  }
  std::size_t end = group.next_window;
  while (end < group.windows.size() && !is_removed(end)) ++end;
  if (end > group.next_window && !group.pass) {
    const std::span<const AudioEncoder::Window> candidates =
        std::span(group.windows).subspan(group.next_window, end - group.next_window);
    const auto piece = candidates.first(AudioEncoder::count_windows(candidates, piece_rows()));
    group.pass = AudioEncoder::Pass{.windows = {piece.begin(), piece.end()}};
    group.pass_ms = 0;
  }
  if (group.pass && !encode_pass(group)) return;
  if (group.next_window == group.windows.size()) finish_group(group);
}

// Goes on with the group's pass; true when it is done.
bool BatchRunner::encode_pass(EncodeGroup& group) {
  const Stopwatch stopwatch;
  const std::span<const AudioEncoder::Window> windows = group.pass->windows;
  std::int64_t n_rows = 0;
  for (const AudioEncoder::Window& window : windows) n_rows += window.n_tokens;
  const TensorView out = group.audio->view().slice_rows(group.next_row, n_rows);
  EncoderWorkspace& workspace = encoder_workspace(group.priority);
  const bool is_begun = group.pass->next_chunk > 0;
  if (!is_begun && !slices(group.priority)) {
    model_.encoder().encode_windows(windows, workspace, out);
  } else {
    const auto is_over = [&] { return slices(group.priority) && stopwatch.ms() >= kSlice_ms; };
    const bool is_done = model_.encoder().encode_slice(*group.pass, workspace, out, is_over);
    group.pass_ms += is_done ? 0 : stopwatch.ms();
    if (!is_done) return false;
  }
  const double ms_per_row = (group.pass_ms + stopwatch.ms()) / static_cast<double>(n_rows);
  for (const AudioEncoder::Window& window : windows) {
    DecodeRun* run = group.runs[group.window_run[group.next_window++]];  // null: removed since the pass began
    if (run != nullptr) run->timings.audio_encoding_ms += ms_per_row * static_cast<double>(window.n_tokens);
  }
  group.next_row += n_rows;
  group.pass.reset();
  return true;
}

// A window of a segment that grows. Positions of rows that are about to change are forgotten.
void BatchRunner::encode_live_piece(EncodeGroup& group) {
  const Stopwatch stopwatch;
  DecodeRun& run = *group.runs.front();
  const int n_right = static_cast<int>(run.n_prefix) + static_cast<int>(run.live->n_kept_rows());
  if (run.sequence->length() > n_right) run.sequence->truncate(n_right);
  const bool is_done = run.live->encode_next(encoder_workspace(run.priority), run.n_encoded_rows);
  run.timings.audio_encoding_ms += stopwatch.ms();
  if (!is_done) return;
  run.first_audio_row = 0;
  run.timings.n_audio_tokens += static_cast<int>(run.n_audio_tokens);
  group.audio = run.live->rows();
  finish_group(group);
}

void BatchRunner::finish_group(EncodeGroup& group) {
  for (DecodeRun* run : group.runs) {
    if (run == nullptr) continue;
    run->audio = group.audio;
    to_prefill_.push_back(run);
  }
  if (group.front_end != nullptr) spare_front_ends_.push_back(std::move(group.front_end));
  groups_.remove_if([&](const EncodeGroup& other) { return &other == &group; });
}

// One of several may have failed because of the others (memory): each is tried alone before it fails.
void BatchRunner::fail_group(EncodeGroup& group, const Error& error) {
  std::vector<DecodeRun*> runs = group.runs;
  erase(runs, nullptr);
  groups_.remove_if([&](const EncodeGroup& other) { return &other == &group; });
  for (DecodeRun* run : runs) {
    if (runs.size() > 1) {
      run->alone = true;
      run->timings = {};
      to_encode_.push_back(run);
    } else {
      end_run(*run, RunEnd::kFailed, &error);
    }
  }
}

void BatchRunner::prefill_piece(Priority priority) {
  std::stable_sort(to_prefill_.begin(), to_prefill_.end(), goes_first);
  std::vector<DecodeRun*> runs;
  const auto error = attempt("prefill", [&] {
    std::vector<std::size_t> n_rows;
    auto rows_left = static_cast<std::size_t>(piece_rows());
    for (DecodeRun* run : to_prefill_) {
      if (run->priority != priority) continue;
      if (rows_left == 0) break;
      if (run->sequence->length() == 0 && !begin_sequence(*run)) break;  // its prefix was this piece
      const std::size_t n_left = run->n_cached_ids() - static_cast<std::size_t>(run->sequence->length());
      // A draft comes with the rows before it if it fits, else by itself.
      const std::size_t n_draft = run->draft.empty() ? 0 : run->draft.size() + 1;
      const bool with_draft = n_draft > 0 && (n_left + n_draft <= rows_left || n_left == 0);
      runs.push_back(run);
      n_rows.push_back(with_draft ? n_left + n_draft : std::min(n_left, rows_left));
      rows_left -= std::min(rows_left, n_rows.back());
    }
    if (slices(priority) && !runs.empty()) return begin_prefill(runs, n_rows);
    extend(runs, n_rows);
  });
  if (error) {
    const auto is_of = [&](const DecodeRun* run) { return run->priority == priority; };
    if (runs.empty()) runs.push_back(*std::find_if(to_prefill_.begin(), to_prefill_.end(), is_of));
    for (DecodeRun* run : runs) end_run(*run, RunEnd::kFailed, &*error);
    return;
  }
  if (prefill_pass_ && priority == Priority::kOffline) {
    continue_prefill();
  } else {
    to_decoding(runs);
  }
}

// Those whose prompt is computed.
void BatchRunner::to_decoding(std::span<DecodeRun* const> runs) {
  for (DecodeRun* run : runs) {
    const bool is_ready =
        static_cast<std::size_t>(run->sequence->length()) == run->n_cached_ids() && run->draft.empty();
    if (run->end != RunEnd::kNone || !is_ready) continue;
    to_prefill_.erase(std::find(to_prefill_.begin(), to_prefill_.end(), run));
    decoding_.push_back(run);
  }
}

// A pass that continue_prefill() computes.
void BatchRunner::begin_prefill(std::span<DecodeRun* const> runs, std::span<const std::size_t> n_rows) {
  prefill_pass_ = std::make_unique<PrefillPass>();
  PrefillPass& pass = *prefill_pass_;
  pass.ids.resize(runs.size());
  for (std::size_t index = 0; index < runs.size(); ++index) {
    pass.runs.push_back(runs[index]);
    if (n_rows[index] == 0) continue;
    pass.pass.inputs.push_back(prefill_input(*runs[index], n_rows[index], pass.ids[index]));
  }
}

// A slice of the pass; false: there was nothing in it.
bool BatchRunner::continue_prefill() {
  const Stopwatch stopwatch;
  PrefillPass& pass = *prefill_pass_;
  const bool is_empty = pass.pass.inputs.empty();
  bool is_done = is_empty;
  const auto is_over = [&] { return slices(Priority::kOffline) && stopwatch.ms() >= kSlice_ms; };
  const auto error = attempt("prefill", [&] {
    if (!is_empty) is_done = model_.decoder().extend_slice(pass.pass, prefill_workspace_, is_over);
  });
  pass.ms += stopwatch.ms();
  if (!error && !is_done) return true;
  const PrefillPass done = std::move(pass);
  prefill_pass_.reset();
  std::size_t n_all_rows = 0;
  for (const auto& ids : done.ids) n_all_rows += ids.size();
  for (std::size_t index = 0; index < done.runs.size(); ++index) {
    DecodeRun& run = *done.runs[index];
    const std::size_t n_rows = done.ids[index].size();
    const double ms = n_rows == 0 ? 0 : done.ms * static_cast<double>(n_rows) / static_cast<double>(n_all_rows);
    run.timings.prefill_ms += ms;
    run.timings.text_generation_ms += ms;
    run.n_prefilled_rows += n_rows;
    if (error) end_run(run, RunEnd::kFailed, &*error);
  }
  if (!error) to_decoding(done.runs);
  return !is_empty;
}

// Gives the run what is kept of its prompt's beginning; false if a piece of that beginning was computed instead.
bool BatchRunner::begin_sequence(DecodeRun& run) {
  const std::span<const std::int32_t> prefix = std::span(run.prompt).first(run.n_prefix);
  const Stopwatch stopwatch;
  bool is_ready = true;
  try {
    is_ready = prefixes_->prepare(model_.decoder(), prefix, piece_rows(), prefill_workspace(run.priority));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfMemory) throw;  // no pages to keep it: the run computes its own
  }
  if (is_ready) prefixes_->begin(prefix, *run.sequence);
  run.timings.prefill_ms += stopwatch.ms();
  run.timings.text_generation_ms += stopwatch.ms();
  return is_ready;
}

// The next n_rows of a run's prompt, answer and draft, whose ids are put into `ids`.
PrefillInput BatchRunner::prefill_input(DecodeRun& run, std::size_t n_rows, std::vector<std::int32_t>& ids) const {
  const auto begin = static_cast<std::size_t>(run.sequence->length()), end = begin + n_rows;
  for (std::size_t pos = begin; pos < end; ++pos) ids.push_back(run.id_at(pos));
  const auto audio_before = [&](std::size_t pos) {
    return static_cast<std::int64_t>(std::clamp(pos, run.n_prefix, run.n_prefix + run.n_audio_tokens) - run.n_prefix);
  };
  const std::int64_t n_audio = audio_before(end) - audio_before(begin);
  PrefillInput input{.sequence = &*run.sequence, .ids = ids};
  if (n_audio > 0) input.audio = run.audio->view().slice_rows(run.first_audio_row + audio_before(begin), n_audio);
  return input;
}

void BatchRunner::extend(std::span<DecodeRun* const> runs, std::span<const std::size_t> n_rows) {
  const Stopwatch stopwatch;
  std::vector<std::vector<std::int32_t>> ids(runs.size());
  std::vector<PrefillInput> inputs;
  std::vector<int> n_choices;
  std::size_t n_all_rows = 0, n_all_choices = 0;
  for (std::size_t index = 0; index < runs.size(); ++index) {
    DecodeRun& run = *runs[index];
    if (n_rows[index] == 0) continue;
    inputs.push_back(prefill_input(run, n_rows[index], ids[index]));
    const std::size_t end = static_cast<std::size_t>(run.sequence->length()) + n_rows[index];
    n_choices.push_back(end > run.n_cached_ids() ? static_cast<int>(end - run.n_cached_ids()) : 0);
    n_all_choices += static_cast<std::size_t>(n_choices.back());
    n_all_rows += n_rows[index];
  }
  if (inputs.empty()) return;
  std::vector<std::int32_t> next_ids(n_all_choices);
  std::vector<float> log_probs(n_all_choices);
  DecoderWorkspace& workspace = prefill_workspace(runs.front()->priority);
  model_.decoder().extend_and_choose(inputs, n_choices, workspace, next_ids, log_probs);
  for (std::size_t index = 0; index < runs.size(); ++index) {
    const double ms = stopwatch.ms() * static_cast<double>(n_rows[index]) / static_cast<double>(n_all_rows);
    runs[index]->timings.prefill_ms += ms;
    runs[index]->timings.text_generation_ms += ms;
    runs[index]->n_prefilled_rows += n_rows[index];
  }
  std::size_t first_choice = 0;
  for (std::size_t index = 0, input = 0; index < runs.size(); ++index) {
    if (n_rows[index] == 0) continue;
    const auto count = static_cast<std::size_t>(n_choices[input++]);
    if (count == 0) continue;
    accept_draft(*runs[index], std::span(next_ids).subspan(first_choice, count),
                 std::span(log_probs).subspan(first_choice, count));
    first_choice += count;
  }
}

// next_ids[n] is what follows ids and the first n tokens of the draft. All choices up to the first that the draft did
// not foresee are those of decode steps.
void BatchRunner::accept_draft(DecodeRun& run, std::span<const std::int32_t> next_ids,
                               std::span<const float> log_probs) {
  const std::vector<std::int32_t> draft = std::exchange(run.draft, {});
  for (std::size_t n = 0; n < next_ids.size() && run.end == RunEnd::kNone; ++n) {
    accept(run, next_ids[n], log_probs[n]);
    const bool is_right = run.scripted_tokens > 0 ? n + DecodeRun::kUnsureTokens < draft.size()
                                                  : n < draft.size() && next_ids[n] == draft[n];
    if (run.scripted_tokens > 0 && is_right) run.ids.back() = draft[n];
    if (n < draft.size() && !is_right) break;
    run.n_foreseen += n < draft.size() ? 1 : 0;
  }
  run.sequence->truncate(static_cast<int>(run.n_cached_ids()));
}

}  // namespace qasr
