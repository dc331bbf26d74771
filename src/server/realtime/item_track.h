// ItemTrack: one live stream and the items its text becomes. With server VAD every segment that ends at a pause is an
// item; otherwise everything between two commits of the client is. The network's thread.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>

#include "server/metrics.h"
#include "server/realtime/event_sender.h"
#include "server/realtime/live_stream.h"

namespace qasr::server {

class ItemTrack {
 public:
  /// Borrows sender and metrics.
  ///   start_s  where the stream begins, in the audio of the session
  ItemTrack(const SessionConfig& config, double start_s, EventSender& sender, Metrics& metrics);
  ~ItemTrack();

  /// Before anything else.
  void open(std::unique_ptr<LiveStream> stream) { stream_ = std::move(stream); }

  // ---- the client
  /// @return samples that were taken
  std::size_t push(std::span<const float> samples);
  /// @return false: there is nothing to commit
  bool commit();
  /// Drops what is not committed. @return false: something committed is still being transcribed; use close_after()
  bool clear();
  /// The stream ends with what has been committed.
  void close_after() { close_after_ = true; }
  /// The stream ends with all that was pushed.
  void close();

  // ---- the stream
  void on_event(const StreamEvent& event);
  bool has_ended() const { return ended_; }
  bool has_failed() const { return failed_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Mark {
    double pushed_s;
    Clock::time_point at;
  };

  RealtimeItem& open_item(double start_s);
  RealtimeItem& item_of_text();
  void on_partial(const StreamEvent& event);
  void on_committed_text(const StreamEvent& event);
  void on_segment_end(const StreamEvent& event);
  void on_flushed();
  void on_error(const Error& error);
  void observe_delay(double audio_s);
  void complete(RealtimeItem& item);

  const SessionConfig config_;
  const double start_s_;
  EventSender& sender_;
  Metrics& metrics_;
  std::unique_ptr<LiveStream> stream_;

  std::optional<RealtimeItem> current_;  ///< server VAD: being spoken; else: pushed since the last commit
  std::deque<RealtimeItem> committed_;   ///< without server VAD: flushed, and not yet transcribed
  int n_flushes_ = 0;                    ///< with server VAD: commits of the client under way
  bool segment_since_commit_ = false;
  double pushed_s_ = 0, pushed_since_commit_s_ = 0;
  std::deque<Mark> marks_;
  std::optional<Clock::time_point> waiting_for_text_;
  bool close_after_ = false, ended_ = false, failed_ = false;
};

}  // namespace qasr::server
