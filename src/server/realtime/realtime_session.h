// RealtimeSession: one WebSocket of /v1/realtime: messages of the client -> live streams -> events for the client.
//
// OpenAI's transcription sessions and vLLM's dialect, told apart by the first message. docs/server.md describes both.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "server/exchange.h"
#include "server/metrics.h"
#include "server/realtime/event_sender.h"
#include "server/realtime/item_track.h"
#include "server/realtime/live_stream.h"

namespace qasr::server {

inline constexpr std::size_t kMaxAudioMessageBytes = 15 << 20;  ///< of base64, OpenAI's limit
inline constexpr std::size_t kMaxRealtimeMessageBytes = kMaxAudioMessageBytes + (64 << 10);

struct RealtimeContext {
  /// @throws ApiError 404
  std::function<std::shared_ptr<const Engine>(const std::string& model)> find_engine;
  LiveStreamFactory open_stream;
  /// Counts audio. @return false: the quota is used up
  std::function<bool(double audio_s)> charge;
  std::function<bool()> is_draining;
  /// Called once, last, with the audio of the session.
  std::function<void(double audio_s)> on_end;
  std::shared_ptr<Metrics> metrics;
  double idle_s = 300;   ///< without a message of the client
  double max_s = 86400;  ///< of a session
};

class RealtimeSession final : public SocketHandler, public std::enable_shared_from_this<RealtimeSession> {
 public:
  RealtimeSession(RealtimeContext context, const std::string& model);
  ~RealtimeSession() override;

  void on_open(std::shared_ptr<Socket> socket) override;
  void on_message(std::string_view message, bool is_text) override;
  bool wants_more() const override { return n_pushed_ == samples_.size(); }
  void on_tick() override;
  void on_closed() override;

 private:
  using Clock = std::chrono::steady_clock;

  void handle(const nlohmann::json& message);
  void update(const nlohmann::json& message);
  void update_vllm(const nlohmann::json& message);
  void change_config(SessionConfig config);
  void append(const nlohmann::json& message);
  void commit(const nlohmann::json& message);
  void clear();
  void push_samples();
  void open_track();
  void retire_track();
  void on_event(const std::weak_ptr<ItemTrack>& track, const StreamEvent& event);
  void end(const ApiError& reason, int close_code);

  const RealtimeContext context_;
  SessionConfig config_;
  EventSender sender_;
  AudioDecoder decoder_;
  std::shared_ptr<Socket> socket_;
  std::shared_ptr<ItemTrack> track_;                 ///< null until audio comes
  std::vector<std::shared_ptr<ItemTrack>> retired_;  ///< that still have something to say
  std::vector<float> samples_;                       ///< of the last message
  std::size_t n_pushed_ = 0;                         ///< of them
  double audio_s_ = 0;                               ///< of the session
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_message_ = begin_;
  bool first_message_ = true, closing_ = false, over_ = false;
};

/// Whether and how a request to /v1/realtime may become a session: subprotocol to select, key that came in one.
struct RealtimeSubprotocols {
  std::string selected;  ///< "realtime" if it was offered
  std::string key;       ///< of openai-insecure-api-key.KEY
};
RealtimeSubprotocols parse_subprotocols(std::string_view header);

}  // namespace qasr::server
