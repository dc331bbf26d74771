#include "server/realtime/item_track.h"

#include <algorithm>

#include "server/request_context.h"

namespace qasr::server {
namespace {

constexpr std::size_t kMaxMarks = 4096;

}  // namespace

ItemTrack::ItemTrack(const SessionConfig& config, double start_s, EventSender& sender, Metrics& metrics)
    : config_(config), start_s_(start_s), sender_(sender), metrics_(metrics) {}

ItemTrack::~ItemTrack() {
  if (stream_ != nullptr) metrics_.add_live_audio(pushed_s_, stream_->progress().timings);
}

std::size_t ItemTrack::push(std::span<const float> samples) {
  const std::size_t n_taken = stream_->try_push(samples);
  if (n_taken == 0) return 0;
  const double taken_s = static_cast<double>(n_taken) / config_.sample_rate;
  pushed_s_ += taken_s;
  pushed_since_commit_s_ += taken_s;
  if (marks_.size() < kMaxMarks) marks_.push_back({pushed_s_, Clock::now()});
  if (!waiting_for_text_) waiting_for_text_ = Clock::now();
  if (!config_.server_vad) {
    if (!current_) current_.emplace().id = make_id("item_");
    current_->audio_s += taken_s;
  }
  return n_taken;
}

bool ItemTrack::commit() {
  if (pushed_since_commit_s_ <= 0) return false;
  pushed_since_commit_s_ = 0;
  if (config_.server_vad) {
    ++n_flushes_;
    segment_since_commit_ = false;
  } else {
    committed_.push_back(std::move(*current_));
    current_.reset();
    sender_.committed(committed_.back());
  }
  stream_->flush();
  return true;
}

bool ItemTrack::clear() {
  if (!committed_.empty() || n_flushes_ > 0) return false;
  stream_->reset();
  current_.reset();
  waiting_for_text_.reset();
  pushed_since_commit_s_ = 0;
  return true;
}

void ItemTrack::close() {
  if (!config_.server_vad && current_) {
    committed_.push_back(std::move(*current_));
    current_.reset();
    sender_.committed(committed_.back());
    stream_->flush();
  }
  stream_->close();
}

void ItemTrack::on_event(const StreamEvent& event) {
  using Kind = StreamEvent::Kind;
  switch (event.kind) {
    case Kind::kPartial:
      on_partial(event);
      break;
    case Kind::kCommitted:
      on_committed_text(event);
      break;
    case Kind::kEndpoint:
      if (config_.server_vad && current_ && !current_->speech_stopped) {
        current_->speech_stopped = true;
        sender_.speech_stopped(*current_, start_s_ + event.end_s);
      }
      break;
    case Kind::kSegmentEnd:
      on_segment_end(event);
      break;
    case Kind::kFlushed:
      on_flushed();
      break;
    case Kind::kError:
      on_error(event.error.value_or(Error(ErrorCode::kInternal, "the stream failed")));
      break;
    case Kind::kEnd:
      ended_ = true;
      break;
  }
}

RealtimeItem& ItemTrack::open_item(double start_s) {
  if (!current_) current_.emplace().id = make_id("item_");
  if (!current_->speech_started) {
    current_->speech_started = true;
    sender_.speech_started(*current_, start_s_ + start_s);
  }
  return *current_;
}

RealtimeItem& ItemTrack::item_of_text() {
  if (!committed_.empty()) return committed_.front();
  if (!current_) current_.emplace().id = make_id("item_");
  return *current_;
}

void ItemTrack::on_partial(const StreamEvent& event) {
  if (event.text.empty()) return;
  const RealtimeItem& item = config_.server_vad ? open_item(event.start_s) : item_of_text();
  if (config_.partials) sender_.partial(item, event.text);
}

void ItemTrack::on_committed_text(const StreamEvent& event) {
  RealtimeItem& item = config_.server_vad ? open_item(event.start_s) : item_of_text();
  const std::string delta = (item.text.empty() ? "" : event.separator) + event.text;
  if (delta.empty()) return;
  item.text += delta;
  sender_.delta(item, delta);
  observe_delay(event.end_s);
}

void ItemTrack::on_segment_end(const StreamEvent& event) {
  RealtimeItem& item = config_.server_vad ? open_item(event.start_s) : item_of_text();
  if (event.result != nullptr) {
    item.tokens.insert(item.tokens.end(), event.result->tokens.begin(), event.result->tokens.end());
    if (item.language.empty()) item.language = event.result->language;
    item.timings += event.result->timings;
  }
  segment_since_commit_ = true;
  if (!config_.server_vad) return;
  if (!item.speech_stopped) sender_.speech_stopped(item, start_s_ + event.end_s);
  item.audio_s = event.end_s - event.start_s;
  sender_.committed(item);
  complete(item);
  current_.reset();
  waiting_for_text_.reset();
}

void ItemTrack::on_flushed() {
  if (config_.server_vad) {
    if (n_flushes_ > 0) --n_flushes_;
    if (!segment_since_commit_) {  // what was committed holds no speech
      RealtimeItem item;
      item.id = current_ ? current_->id : make_id("item_");
      sender_.committed(item);
      complete(item);
      current_.reset();
    }
  } else if (!committed_.empty()) {
    complete(committed_.front());
    committed_.pop_front();
  }
  if (close_after_ && committed_.empty() && n_flushes_ == 0) stream_->cancel();
}

void ItemTrack::on_error(const Error& error) {
  failed_ = true;
  const ApiError reason = api_error(error);
  for (const RealtimeItem& item : committed_) sender_.failed(item, reason);
  if (current_) sender_.failed(*current_, reason);
  if (committed_.empty() && !current_) sender_.error(reason, "");
  committed_.clear();
  current_.reset();
}

void ItemTrack::observe_delay(double audio_s) {
  const auto seconds_since = [](Clock::time_point at) {
    return std::chrono::duration<double>(Clock::now() - at).count();
  };
  while (marks_.size() > 1 && marks_.front().pushed_s < audio_s) marks_.pop_front();
  if (!marks_.empty()) metrics_.observe_commit_delay(seconds_since(marks_.front().at));
  const bool first = waiting_for_text_ && *waiting_for_text_ != Clock::time_point::max();
  if (first) metrics_.observe_first_live_text(seconds_since(*waiting_for_text_));
  waiting_for_text_ = Clock::time_point::max();  // until the next item
}

void ItemTrack::complete(RealtimeItem& item) { sender_.completed(item, config_.logprobs); }

}  // namespace qasr::server
