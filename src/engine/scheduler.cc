#include "engine/scheduler.h"

#include <algorithm>
#include <map>
#include <string>
#include <system_error>

#include "base/stopwatch.h"
#include "engine/attempt.h"
#include "engine/word_times.h"

namespace qasr {
namespace {

const SchedulerOptions& checked(const SchedulerOptions& options) {
  const auto require = [](int value, const char* name) {
    if (value >= 0) return;
    throw Error(ErrorCode::kInvalidArgument,
                std::string("scheduler.") + name + " is " + std::to_string(value) + ", expected 0 or more");
  };
  require(options.max_batch, "max_batch");
  require(options.max_rows_between_steps, "max_rows_between_steps");
  return options;
}

}  // namespace

Scheduler::Scheduler(SchedulerGroup& group, Backend& backend, const Model& model, const SchedulerOptions& options,
                     DType kv_dtype)
    : group_(group), backend_(backend), model_(model), runner_(backend, model, checked(options), kv_dtype) {
  group.join(*this);
}

Scheduler::~Scheduler() {
  std::thread thread;
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    has_changed_ = true;
    changed_.notify_all();
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
}

void Scheduler::start_thread() {
  if (thread_.joinable()) return;
  try {
    thread_ = std::thread([this] { thread_main(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::kOutOfMemory, std::string("scheduler: cannot start its thread: ") + error.what());
  }
}

void Scheduler::add(const std::shared_ptr<RequestState>& request) {
  const MutexLock lock(mutex_);
  start_thread();
  added_.push_back(request);
  has_changed_ = true;
  changed_.notify_all();
}

void Scheduler::on_change() {
  const MutexLock lock(mutex_);
  has_changed_ = true;
  changed_.notify_all();
}

void Scheduler::check_segment(const RequestSettings& settings, std::size_t n_samples) {
  const double duration_s = static_cast<double>(n_samples) / kSampleRate;
  const int n_audio_tokens = model_.encoder().n_audio_tokens(model_.log_mel().n_frames(n_samples));
  const std::size_t n_prompt_tokens =
      model_.prompt().build(settings.system_text, settings.forced_language, n_audio_tokens).size();
  answer_budget(model_.config().text, runner_.limits().pool_positions, n_prompt_tokens, duration_s,
                settings.max_tokens);
}

void Scheduler::thread_main() {
  thread_id_ = std::this_thread::get_id();
  while (wait_for_work()) {
    const auto error = attempt("scheduler", [&] {
      drop_ended();
      drop_ended_streams();
      begin_steps();
      admit();
      compute();
      handle_ended_runs();
      publish_load();
    });
    if (!error) continue;
    note_error(*error);
    for (const std::shared_ptr<RequestState>& request : active_) request->fail(*error);
    for (const auto& stream : streams_) stream->state().fail(*error);
    has_changed_ = true;
  }
}

void Scheduler::publish_load() {
  EngineLoad load = runner_.load();
  load.n_requests = static_cast<int>(active_.size() + streams_.size());
  load.n_waiting = static_cast<int>(queue_.size());
  const MutexLock lock(load_mutex_);
  load_ = load;
}

EngineLoad Scheduler::load() const {
  const MutexLock lock(load_mutex_);
  EngineLoad load = load_;
  load.max_batch = limits().max_batch;
  return load;
}

// False when the engine goes away. Returns at once while runs are under way.
bool Scheduler::wait_for_work() {
  const MutexLock lock(mutex_);
  while (!has_changed_ && !stop_ && runner_.n_runs() == 0 && queue_.empty()) changed_.wait(mutex_);
  has_changed_ = false;
  active_.insert(active_.end(), added_.begin(), added_.end());
  added_.clear();
  for (auto& stream : added_streams_) streams_.push_back(std::move(stream));
  added_streams_.clear();
  return !stop_;
}

// Requests that failed, were cancelled or have nothing left: their runs leave at once, then their caller hears of it.
void Scheduler::drop_ended() {
  for (std::size_t index = 0; index < active_.size();) {
    const std::shared_ptr<RequestState> request = active_[index];
    if (!request->has_ended()) {
      ++index;
      continue;
    }
    active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(index));
    for (std::size_t job = jobs_.size(); job-- > 0;) {
      if (&jobs_[job]->request() == request.get()) drop_job(job);
    }
    request->close();
  }
}

void Scheduler::drop_job(std::size_t index) {
  SegmentJob& job = *jobs_[index];
  for (DecodeRun* run : job.runs()) {
    runner_.remove(*run);
    std::erase(queue_, run);
  }
  --job.request().n_active;
  jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Scheduler::enqueue(DecodeRun& run) {
  const auto goes_later = [&](const DecodeRun* other) {
    return run.priority != other->priority ? run.priority > other->priority : run.order < other->order;
  };
  queue_.insert(std::find_if(queue_.begin(), queue_.end(), goes_later), &run);
}

// Begins the next segment of the request that has the fewest under way; false if none of this priority waits.
bool Scheduler::begin_next(Priority priority) {
  std::shared_ptr<RequestState> next;
  for (const std::shared_ptr<RequestState>& request : active_) {
    if (request->priority() != priority || !request->has_waiting()) continue;
    const auto rank = [](const RequestState& r) { return std::pair(r.n_active, r.last_served); };
    if (next == nullptr || rank(*request) < rank(*next)) next = request;
  }
  if (next == nullptr) return false;
  std::optional<PendingSegment> segment = next->take();
  if (!segment) return false;  // cancelled just now
  next->last_served = ++n_served_;
  try {
    jobs_.push_back(
        std::make_unique<SegmentJob>(model_, runner_.limits().pool_positions, next, std::move(*segment), n_served_));
  } catch (const Error& error) {
    next->fail(error);
    has_changed_ = true;
    return true;
  }
  ++next->n_active;
  for (DecodeRun* run : jobs_.back()->take_new_runs()) enqueue(*run);
  return true;
}

void Scheduler::admit() {
  const auto max_batch = static_cast<std::size_t>(runner_.limits().max_batch);
  // Live segments may exceed the batch: they are short and somebody waits.
  while (runner_.n_runs() + queue_.size() < 2 * max_batch && begin_next(Priority::kLive)) {
  }
  // However many there are, one segment of a recording has a place.
  const auto has_offline_place = [&] { return runner_.n_runs() < max_batch || !runner_.has(Priority::kOffline); };
  for (;;) {
    if (queue_.empty() && (!has_offline_place() || !begin_next(Priority::kOffline))) return;
    if (queue_.empty()) continue;  // a segment without audio, or too long after all
    DecodeRun& run = *queue_.front();
    const bool has_place = run.priority == Priority::kLive ? runner_.n_runs() < 2 * max_batch : has_offline_place();
    if (!has_place) return;
    try {
      if (runner_.admit(run)) {
        queue_.erase(queue_.begin());
        continue;
      }
    } catch (const Error& error) {  // no memory for the pool itself
      note_error(error);
      fail_owner(run, error);
      return;
    }
    DecodeRun* victim = runner_.displace_below(run.priority);
    if (victim == nullptr) return;
    enqueue(*victim);
  }
}

void Scheduler::compute() {
  const bool any_live = runner_.has(Priority::kLive);
  if (any_live || !streams_.empty()) note_live(any_live);
  runner_.expect_live(is_live_expected());
  const Stopwatch stopwatch;
  if (!any_live) {
    compute_offline();
    turns_.reset();
  } else if (runner_.runs_ahead()) {
    compute_together();
  } else if (runner_.has(Priority::kOffline) && turns_.is_offline_turn()) {
    compute_offline();
    turns_.add_offline(stopwatch.ms());
  } else {
    runner_.prepare(Priority::kLive);
    runner_.decode(Priority::kLive, has_changed_);
    turns_.add_live(stopwatch.ms());
  }
  for (DecodeRun* run : runner_.take_displaced()) enqueue(*run);
}

// One piece of preparation or one step: the batch is filled first, which makes steps cheaper for all.
void Scheduler::compute_offline() {
  runner_.prepare(Priority::kOffline);
  if (!runner_.has_preparation(Priority::kOffline)) runner_.decode(Priority::kOffline, has_changed_);
}

// On a device where a batch costs hardly more than a live run alone: a piece and a step for all.
void Scheduler::compute_together() {
  const bool live = runner_.has_preparation(Priority::kLive);
  runner_.prepare(live ? Priority::kLive : Priority::kOffline);
  runner_.decode(Priority::kOffline, has_changed_);
}

// Audio of a live stream, or a live segment, has come.
void Scheduler::note_live(bool any_live) {
  std::uint64_t n_heard = 0;
  for (const auto& stream : streams_) n_heard += stream->n_received();
  if (!any_live && n_heard == n_heard_live_) return;
  n_heard_live_ = n_heard;
  last_live_ = Clock::now();
}

// Somebody spoke in the last seconds: the next step may come at any moment.
bool Scheduler::is_live_expected() const { return last_live_ && Clock::now() - *last_live_ < std::chrono::seconds(3); }

// A device that is lost stays so: the group sends requests elsewhere.
void Scheduler::note_error(const Error& error) {
  if (error.code() == ErrorCode::kDevice && !is_lost_) is_lost_ = backend_.is_lost();
}

void Scheduler::handle_ended_runs() {
  for (DecodeRun* run : runner_.take_ended()) {
    if (run->error) note_error(*run->error);
    if (end_step(*run)) continue;
    SegmentJob& job = **std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& other) { return other->owns(*run); });
    job.on_run_end(*run, runner_);
    for (DecodeRun* more : job.take_new_runs()) enqueue(*more);
  }
  std::vector<std::unique_ptr<SegmentJob>> done;
  for (std::unique_ptr<SegmentJob>& job : jobs_) {
    if (job->is_done()) done.push_back(std::move(job));
  }
  std::erase(jobs_, nullptr);
  deliver(done);
}

// Word times are computed here, between two steps: a segment's take about as long as one prefill.
void Scheduler::deliver(std::span<const std::unique_ptr<SegmentJob>> done) {
  if (done.empty()) return;
  has_changed_ = true;  // perhaps that was the last segment, and there is room for another
  std::vector<Segment> segments(done.size());
  std::map<const Aligner*, std::vector<SpokenSegment>> spoken;
  for (std::size_t i = 0; i < done.size(); ++i) {
    RequestState& request = done[i]->request();
    --request.n_active;
    if (request.status() != RequestStatus::kRunning) continue;
    segments[i] = done[i]->finish();
    const Aligner* aligner = request.settings().aligner.get();
    if (aligner != nullptr) spoken[aligner].push_back({&segments[i], done[i]->samples()});
  }
  for (const auto& [aligner, of_aligner] : spoken) set_word_times(*aligner, of_aligner);
  for (std::size_t i = 0; i < done.size(); ++i) {
    RequestState& request = done[i]->request();
    if (request.status() != RequestStatus::kRunning) continue;
    request.deliver(done[i]->index(), done[i]->duration_s(), std::move(segments[i]));
  }
}

}  // namespace qasr
