#include "recording_job.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "standard_input.h"

namespace qasr::app {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

AudioStream open_stream(const InputFile& input, const AudioStreamOptions& options) {
  if (input.path == kStandardInput) return AudioStream(read_standard_input, "standard input", options);
  return AudioStream(std::filesystem::path(input.path), options);
}

/// The first of several lists is taken over as it is: those of hours of recording are not there twice.
template <typename T>
void append(std::vector<T> more, std::vector<T>& all) {
  if (all.empty()) {
    all = std::move(more);
  } else {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
}

}  // namespace

void JobSignal::notify() {
  {
    const std::lock_guard lock(mutex_);
    pending_ = true;
  }
  changed_.notify_one();
}

void JobSignal::wait_for(double seconds) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return pending_; });
  pending_ = false;
}

/// One channel, or the mix of all.
struct RecordingJob::Lane {
  Lane(const SegmentationOptions& options, double start_s, int channel_number)
      : segmenter(options, start_s), channel(channel_number) {}
  SpeechSegmenter segmenter;
  int channel;
  std::mutex mutex;
  std::vector<double> speech_s;    // of each segment pushed; guarded by mutex
  std::optional<Request> request;  // last: its callbacks use what is above
};

RecordingJob::RecordingJob(std::shared_ptr<const Engine> engine, const InputFile& input, const JobOptions& options,
                           JobSignal& signal)
    : engine_(std::move(engine)), input_(input), options_(options), signal_(signal) {
  thread_ = std::thread([this] {
    run();
    ended_ = true;
    signal_.notify();
  });
}

RecordingJob::~RecordingJob() {
  cancel();
  thread_.join();
}

void RecordingJob::cancel() {
  if (!ended_) cancelled_ = true;
  const std::lock_guard lock(mutex_);
  for (Request* request : requests_) request->cancel();
}

std::vector<std::string> RecordingJob::take_fragments() {
  const std::lock_guard lock(mutex_);
  return std::exchange(fragments_, {});
}

void RecordingJob::add_fragment(std::string fragment) {
  if (fragment.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    fragments_.push_back(std::move(fragment));
  }
  signal_.notify();
}

// Text of one lane: what joins segments is put before the first piece of each.
void RecordingJob::show_text(const TextUpdate& update) {
  std::string fragment;
  if (update.replaces) {
    withdrew_text_ = true;
    fragment = "\n";
  } else if (n_lines_ != update.segment + 1) {
    fragment = segment_separator(shown_, update.piece);
  }
  n_lines_ = update.segment + 1;
  fragment += update.piece;
  shown_ += fragment;
  add_fragment(std::move(fragment));
}

void RecordingJob::show_segment(Lane& lane, std::size_t index, const Segment& segment) {
  done_s_ = std::max(done_s_.load(), segment.end_s - options_.audio.offset_s);
  if (options_.live == LiveOutput::kColoredText) {
    const std::string separator = segment_separator(shown_, segment.text);
    shown_ += segment.text;
    add_fragment(separator + color_by_confidence(segment));
  } else if (options_.live == LiveOutput::kJsonLines) {
    Segment complete = segment;
    complete.channel = lane.channel;
    {
      const std::lock_guard lock(lane.mutex);
      complete.speech_s = lane.speech_s.at(index);
    }
    add_fragment(json_line(complete, n_lines_++, {.file = input_.path, .model = options_.model}));
  }
  signal_.notify();
}

RequestOptions RecordingJob::request_options(Lane& lane) {
  RequestOptions options = options_.request;
  if (options_.live == LiveOutput::kText) options.on_text = [this](const TextUpdate& update) { show_text(update); };
  options.on_segment = [this, &lane](std::size_t index, const Segment& segment) { show_segment(lane, index, segment); };
  return options;
}

void RecordingJob::push(Lane& lane, std::vector<SpeechSegment>& segments) {
  for (SpeechSegment& segment : segments) {
    {
      const std::lock_guard lock(lane.mutex);
      lane.speech_s.push_back(segment.speech_s);
    }
    if (!lane.request->push_segment(std::move(segment.samples), segment.start_s)) break;
  }
  segments.clear();
}

void RecordingJob::read_and_push(AudioStream& stream, std::vector<std::unique_ptr<Lane>>& lanes) {
  std::vector<std::vector<float>> blocks;
  std::vector<SpeechSegment> segments;
  for (bool more = true; more && !cancelled_;) {
    auto start = Clock::now();
    more = stream.read(blocks);
    position_s_ = stream.position_s();
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      if (more) {
        lanes[lane]->segmenter.push(blocks[lane], segments);
      } else {
        lanes[lane]->segmenter.finish(segments);
      }
      media_ms_ += ms_since(start);
      push(*lanes[lane], segments);
      start = Clock::now();
    }
  }
}

// What the lanes' requests made becomes one transcript in the order of time.
void RecordingJob::collect(const AudioStream& stream, std::vector<std::unique_ptr<Lane>>& lanes) {
  std::vector<std::string> spoken;
  for (std::unique_ptr<Lane>& lane : lanes) {
    Transcript part;
    try {
      part = lane->request->wait();
    } catch (const Error& error) {
      if (!error_) error_ = error;
    }
    for (std::size_t index = 0; index < part.segments.size(); ++index) {
      part.segments[index].speech_s = lane->speech_s.at(index);
      part.segments[index].channel = lane->channel;
    }
    append(std::move(part.segments), transcript_.segments);
    std::vector<NonSpeech> gaps = lane->segmenter.non_speech();
    for (NonSpeech& gap : gaps) gap.channel = lane->channel;
    append(std::move(gaps), transcript_.non_speech);
    transcript_.truncated = transcript_.truncated || part.truncated;
    transcript_.timings += part.timings;
    if (lanes.size() == 1) transcript_.text = std::move(part.text);
    const bool known = part.language.empty() || std::count(spoken.begin(), spoken.end(), part.language) > 0;
    if (!known) spoken.push_back(part.language);
  }
  if (lanes.size() > 1) {
    const auto by_time = [](const auto& a, const auto& b) { return a.start_s < b.start_s; };
    std::stable_sort(transcript_.segments.begin(), transcript_.segments.end(), by_time);
    std::stable_sort(transcript_.non_speech.begin(), transcript_.non_speech.end(), by_time);
    transcript_.text = plain_text(transcript_);
  }
  for (const std::string& language : spoken)
    transcript_.language += (transcript_.language.empty() ? "" : ",") + language;
  transcript_.duration_s = stream.position_s();
  transcript_.warnings = stream.warnings();
  transcript_.truncated = transcript_.truncated || (!cancelled_ && !stream.complete());
}

void RecordingJob::run() {
  std::vector<std::unique_ptr<Lane>> lanes;
  try {
    AudioStream stream = open_stream(input_, options_.audio);
    expected_s_ = stream.expected_s();
    for (int lane = 0; lane < stream.n_lanes(); ++lane) {
      const bool split = options_.audio.channels == ChannelMode::kSplit;
      const int channel = split ? lane : options_.audio.channels == ChannelMode::kOne ? options_.audio.channel : -1;
      lanes.push_back(std::make_unique<Lane>(options_.segmentation, options_.audio.offset_s, channel));
      lanes.back()->request.emplace(engine_, request_options(*lanes.back()));
      const std::lock_guard lock(mutex_);
      requests_.push_back(&*lanes.back()->request);
    }
    if (cancelled_) cancel();
    try {
      read_and_push(stream, lanes);
    } catch (const Error& error) {
      error_ = error;  // what was pushed before is still transcribed
    }
    collect(stream, lanes);
  } catch (const Error& error) {
    error_ = error;
  } catch (const std::bad_alloc&) {
    error_ = Error(ErrorCode::kOutOfMemory, "not enough memory for " + input_.path);
  } catch (const std::exception& error) {
    error_ = Error(ErrorCode::kInternal, input_.path + ": " + error.what());
  }
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

}  // namespace qasr::app
