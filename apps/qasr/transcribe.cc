// `qasr transcribe`: hop 1 of docs/architecture.md. Arguments -> recordings -> jobs (recording_job.h), several at a
// time on one engine -> standard output or files.
//
// Standard output is, per recording in the order of the arguments, the text as it is decoded and a line feed; with
// several recordings every line starts with "FILE: ". With --json it is one indented document for one recording and one
// line per recording for several (docs/transcript.schema.json); with -f jsonl one line per segment. A recording that
// fails has no entry there; its message is on standard error. With -o DIR, results are files, each written when its
// recording ends.
#include "transcribe.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>

#include "demo_model.h"
#include "model_cache.h"
#include "output.h"
#include "output_files.h"
#include "progress.h"
#include "word_options.h"

namespace qasr::app {
namespace {

constexpr double kPollS = 0.1;
constexpr double kNotableSpeechS = 2;  // of speech without text
constexpr int kDefaultJobs = 8;

// Transcripts of hours are small pieces, kept, among buffers that come and go. Buffers from this size on are mapped,
// each by itself: the pieces lie close together and what is freed goes back to the system.
constexpr int kMappedBytes = 32 << 10;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::atomic<int> interrupts = 0;

// The first one ends the run in order, the second one at once.
extern "C" void on_interrupt(int) {
  if (interrupts++ > 0) ::_exit(kExitInterrupted);
}

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

double speech_without_text_s(const Transcript& transcript) {
  double sum_s = 0;
  for (const Segment& segment : transcript.segments) {
    if (segment.text.empty() && segment.speech_s > 0) sum_s += segment.speech_s;
  }
  return sum_s;
}

/// What --strict counts as incomplete, one sentence each.
std::vector<std::string> shortcomings(const Transcript& transcript) {
  std::vector<std::string> found = transcript.warnings;
  for (const Segment& segment : transcript.segments) {
    const std::string where = " (" + duration_text(segment.start_s) + " to " + duration_text(segment.end_s) + ")";
    if (segment.truncated) found.push_back("the token limit ended the transcript early; see --max-tokens" + where);
    for (const SegmentNote& note : segment.notes) {
      if (note.kind == NoteKind::kRepetition) found.push_back(note.message + where);
    }
  }
  const double missing_s = speech_without_text_s(transcript);
  if (missing_s >= kNotableSpeechS) {
    found.push_back(format_text("%.1f s that sound like speech have no text", missing_s));
  }
  return found;
}

/// All recordings of one call: starts jobs, shows and writes what they make, counts.
class Run {
 public:
  Run(const TranscribeArguments& arguments, InputList list);
  ExitCode execute();

 private:
  enum class State { kWaiting, kRunning, kEnded };
  struct Entry {
    State state = State::kWaiting;
    std::unique_ptr<RecordingJob> job;
    std::vector<std::unique_ptr<OutputFile>> outputs;
    Clock::time_point start;
    bool line_begun = false;
  };

  void skip_finished();
  void start_jobs();
  void start(std::size_t index);
  void watch();
  void show_front();
  void print_fragment(Entry& entry, std::size_t index, const std::string& fragment);
  void end(std::size_t index);
  void write_files(std::size_t index);
  void print_result(std::size_t index);
  void report(std::size_t index, double elapsed_s);
  void fail(std::size_t index, ExitCode code, const std::string& message);
  void interrupt();
  void message(const std::string& text);
  void summarise();
  bool to_files() const { return !arguments_.output_dir.empty(); }

  const TranscribeArguments& arguments_;
  InputList list_;
  std::vector<OutputFormat> formats_;
  std::vector<std::filesystem::path> stems_;
  Progress progress_;
  JobSignal signal_;
  std::shared_ptr<const Engine> engine_;
  JobOptions options_;
  double model_load_ms_ = 0;
  std::vector<Entry> entries_;  // [files]; jobs use what is above
  std::size_t next_ = 0, front_ = 0, max_jobs_ = 1, n_running_ = 0;
  std::size_t n_done_ = 0, n_skipped_ = 0, n_failed_ = 0, n_incomplete_ = 0;
  bool interrupted_ = false;
  ExitCode result_ = kExitOk;
};

Progress::Mode progress_mode(const TranscribeArguments& arguments) {
  if (arguments.quiet) return Progress::Mode::kOff;
  const bool text_on_terminal = arguments.output_dir.empty() && ::isatty(STDOUT_FILENO) != 0;
  if (::isatty(STDERR_FILENO) != 0 && !text_on_terminal) return Progress::Mode::kTerminal;
  return arguments.output_dir.empty() ? Progress::Mode::kOff : Progress::Mode::kLines;
}

Run::Run(const TranscribeArguments& arguments, InputList list)
    : arguments_(arguments),
      list_(std::move(list)),
      formats_(wanted_formats(arguments)),
      progress_(progress_mode(arguments), list_.files),
      entries_(list_.files.size()) {
  if (to_files()) stems_ = output_stems(list_.files, arguments.output_dir);
}

void Run::message(const std::string& text) {
  progress_.clear();
  print_error(text);
}

void Run::fail(std::size_t index, ExitCode code, const std::string& text) {
  ++n_failed_;
  if (result_ == kExitOk) result_ = code;
  const std::string& path = list_.files[index].path;
  const bool named = path == kStandardInput || text.find(path) != std::string::npos;
  message(named ? text : path + ": " + text);
  progress_.finish(index, 0, "failed");
}

void Run::skip_finished() {
  if (!arguments_.resume) return;
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    if (!is_finished(stems_[index], formats_, list_.files[index].path)) continue;
    entries_[index].state = State::kEnded;
    ++n_skipped_;
    progress_.finish(index, 0, "finished before");
  }
}

ExitCode Run::execute() {
  if (to_files()) check_output_folder(arguments_.output_dir);
  for (const std::string& problem : list_.problems) {
    message(problem);
    result_ = kExitInput;
  }
  skip_finished();
  options_ = job_options(arguments_, 0);  // what is wrong with them shows before the model is loaded
  if (n_skipped_ < entries_.size()) {
    const Clock::time_point loading = Clock::now();
    engine_ = open_engine(arguments_);
    model_load_ms_ = 1000 * seconds_since(loading);
    options_ = job_options(arguments_, engine_->info().recommended_max_segment_s);
    if (options_.model.empty()) options_.model = kDemoModelName;
    if (wants_words(arguments_)) options_.request.transcribe.aligner = open_aligner(arguments_);
    // Each recording keeps a segment and what waits to be transcribed in memory: many share what one may have.
    const std::size_t batch = arguments_.batch > 0 ? static_cast<std::size_t>(arguments_.batch) : kDefaultJobs;
    max_jobs_ = std::clamp<std::size_t>(batch, 1, std::min<std::size_t>(entries_.size(), 64));
    options_.request.max_waiting_segments = static_cast<int>(std::max<std::size_t>(1, batch / max_jobs_));
    catch_interrupts();
    watch();
  }
  summarise();
  if (interrupted_) return kExitInterrupted;
  if (result_ == kExitOk && arguments_.strict && n_incomplete_ > 0) return kExitIncomplete;
  return result_;
}

void Run::watch() {
  while (front_ < entries_.size()) {
    if (interrupts > 0 && !interrupted_) interrupt();
    start_jobs();
    show_front();
    for (std::size_t index = front_; index < next_; ++index) {
      Entry& entry = entries_[index];
      if (entry.state == State::kRunning && entry.job->ended() && (to_files() || index == front_)) end(index);
    }
    while (front_ < entries_.size() && entries_[front_].state == State::kEnded) ++front_;
    std::vector<Progress::Running> running;
    for (std::size_t index = front_; index < next_; ++index) {
      const Entry& entry = entries_[index];
      if (entry.state == State::kRunning) running.push_back({index, entry.job->done_s(), entry.job->expected_s()});
    }
    progress_.update(running);
    const bool more_to_do =
        front_ < entries_.size() && entries_[front_].job != nullptr && !entries_[front_].job->ended();
    if (more_to_do) signal_.wait_for(kPollS);
  }
}

void Run::start_jobs() {
  // Results on standard output wait for those before them: no more are begun than can wait.
  const auto is_running = [](const Entry& entry) { return entry.state == State::kRunning; };
  n_running_ = static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), is_running));
  for (; next_ < entries_.size() && n_running_ < max_jobs_; ++next_) {
    if (entries_[next_].state == State::kEnded) continue;
    if (interrupted_) {
      entries_[next_].state = State::kEnded;
    } else {
      start(next_);
    }
  }
}

void Run::start(std::size_t index) {
  Entry& entry = entries_[index];
  try {
    for (const OutputFormat format : to_files() ? formats_ : std::vector<OutputFormat>()) {
      entry.outputs.push_back(std::make_unique<OutputFile>(output_path(stems_[index], format)));
    }
  } catch (const FileOutputError& error) {
    entry.outputs.clear();
    entry.state = State::kEnded;
    return fail(index, kExitInternal, error.what());
  }
  entry.start = Clock::now();
  entry.job = std::make_unique<RecordingJob>(engine_, list_.files[index], options_, signal_);
  entry.state = State::kRunning;
  ++n_running_;
}

void Run::print_fragment(Entry& entry, std::size_t index, const std::string& fragment) {
  const bool labelled = list_.files.size() > 1 && options_.live != LiveOutput::kJsonLines && !entry.line_begun;
  progress_.clear();
  print(labelled ? list_.files[index].path + ": " + fragment : fragment);
  entry.line_begun = true;
}

void Run::show_front() {
  if (to_files() || front_ >= next_ || entries_[front_].job == nullptr) return;
  for (const std::string& fragment : entries_[front_].job->take_fragments()) {
    print_fragment(entries_[front_], front_, fragment);
  }
}

void Run::end(std::size_t index) {
  Entry& entry = entries_[index];
  if (!to_files()) show_front();
  const RecordingJob& job = *entry.job;
  entry.state = State::kEnded;
  if (to_files()) {
    write_files(index);
  } else {
    print_result(index);
    if (job.error()) {
      fail(index, exit_code(job.error()->code()), job.error()->what());
    } else if (!job.cancelled()) {
      report(index, seconds_since(entry.start));
    }
  }
  entry.outputs.clear();
  entry.job.reset();
}

/// What was shown of a recording stays, and its line is closed, when the rest fails.
void Run::print_result(std::size_t index) {
  Entry& entry = entries_[index];
  const RecordingJob& job = *entry.job;
  const Transcript& transcript = job.transcript();
  const bool failed = job.error().has_value() || job.cancelled();
  const RecordingInfo info{list_.files[index].path, options_.model};
  if (options_.live == LiveOutput::kText || options_.live == LiveOutput::kColoredText) {
    if (!failed || entry.line_begun) print_fragment(entry, index, "\n");
    if (job.withdrew_text()) {
      message("note: the text above contains repetitions that the final transcript (--json) does not");
    }
    return;
  }
  if (options_.live == LiveOutput::kJsonLines || (failed && transcript.segments.empty())) return;
  if (failed && formats_[0] == OutputFormat::kJson) return;
  const bool several = list_.files.size() > 1;
  std::string content = format_transcript(transcript, formats_[0], info, arguments_.subtitles, several);
  if (formats_[0] == OutputFormat::kText && several) content = list_.files[index].path + ":\n" + content;
  progress_.clear();
  print(content);
}

// Nothing is put under the final name that is not whole; what an interruption or an error leaves of a long recording is
// kept under another.
void Run::write_files(std::size_t index) {
  Entry& entry = entries_[index];
  const RecordingJob& job = *entry.job;
  const bool whole = !job.error() && !job.cancelled();
  try {
    for (std::size_t n = 0; n < formats_.size(); ++n) {
      if (!whole && job.transcript().segments.empty()) break;
      const auto write = [&](OutputFile& file) {
        write_transcript(
            job.transcript(), formats_[n], {list_.files[index].path, options_.model},
            [&file](std::string_view piece) { file.write(piece); }, arguments_.subtitles);
        file.commit();
      };
      if (whole) {
        write(*entry.outputs[n]);
      } else {
        std::filesystem::path partial = stems_[index];
        partial += ".partial";
        OutputFile file(output_path(partial, formats_[n]));
        write(file);
        message(list_.files[index].path + ": what was complete is in " + file.path().string());
      }
    }
  } catch (const FileOutputError& error) {
    return fail(index, kExitInternal, error.what());
  }
  if (job.error()) return fail(index, exit_code(job.error()->code()), job.error()->what());
  if (whole) report(index, seconds_since(entry.start));
}

void Run::report(std::size_t index, double elapsed_s) {
  const RecordingJob& job = *entries_[index].job;
  const Transcript& transcript = job.transcript();
  const std::string& path = list_.files[index].path;
  ++n_done_;
  progress_.finish(index, transcript.duration_s,
                   format_text("%.1f s of audio, %.1f s of work time", transcript.duration_s, elapsed_s));
  if (arguments_.timings) std::fputs(timing_table(transcript, model_load_ms_, job.media_ms()).c_str(), stderr);
  const std::vector<std::string> problems = shortcomings(transcript);
  if (!problems.empty() || transcript.truncated) ++n_incomplete_;
  if (arguments_.quiet) return;
  for (const std::string& problem : problems) message("warning: " + path + ": " + problem);
}

void Run::interrupt() {
  interrupted_ = true;
  message("interrupted: finished transcripts are kept");
  for (Entry& entry : entries_) {
    if (entry.job) entry.job->cancel();
  }
}

void Run::summarise() {
  progress_.clear();
  if (arguments_.quiet || (list_.files.size() <= 1 && !to_files())) return;
  if (!to_files() && ::isatty(STDERR_FILENO) == 0) return;
  std::string text = format_text("%zu recordings: %zu transcribed", list_.files.size(), n_done_);
  if (n_skipped_ > 0) text += format_text(", %zu finished before", n_skipped_);
  if (n_failed_ > 0) text += format_text(", %zu failed", n_failed_);
  if (n_incomplete_ > 0) text += format_text(", %zu with warnings", n_incomplete_);
  if (interrupted_) text += format_text(", %zu not done", list_.files.size() - n_done_ - n_skipped_ - n_failed_);
  const double elapsed_s = progress_.elapsed_s();
  text += format_text("; %s of audio in %s (%.1f times real time)", duration_text(progress_.audio_s()).c_str(),
                      duration_text(elapsed_s).c_str(), progress_.audio_s() / std::max(elapsed_s, 1e-3));
  if (list_.n_ignored > 0) text += format_text("; %d other files ignored", list_.n_ignored);
  print_error(text);
}

}  // namespace

std::shared_ptr<const Engine> open_engine(const TranscribeArguments& arguments) {
  if (!arguments.model_dir.empty()) return Engine::open(resolve_model(arguments.model_dir), engine_options(arguments));
  if (!arguments.quiet) std::fputs(demo_model_notice().c_str(), stderr);
  return Engine::open(demo_model_files(), kDemoModelName, engine_options(arguments));
}

ExitCode run_transcribe(const TranscribeArguments& arguments) {
  ::mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  InputList list = find_input_files(arguments.input);
  check_standard_output(arguments, list.files.size());
  if (list.files.empty()) {
    for (const std::string& problem : list.problems) print_error(problem);
    throw Error(ErrorCode::kInput, "no recordings found");
  }
  try {
    return Run(arguments, std::move(list)).execute();
  } catch (const FileOutputError& error) {
    print_error(error.what());
    return kExitInternal;
  }
}

}  // namespace qasr::app
