// EventSender: the server's messages of a Realtime session, in OpenAI's dialect or vLLM's.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "server/api_error.h"
#include "server/exchange.h"
#include "server/realtime/session_config.h"

namespace qasr::server {

/// A stretch of audio that becomes one transcript.
struct RealtimeItem {
  std::string id;
  std::string text;           ///< all deltas so far
  std::vector<Token> tokens;  ///< if log-probabilities are wanted
  std::string language;
  double audio_s = 0;
  bool speech_started = false, speech_stopped = false;
  Timings timings{};
};

class EventSender {
 public:
  explicit EventSender(std::string session_id) : session_id_(std::move(session_id)) {}
  void open(std::shared_ptr<Socket> socket) { socket_ = std::move(socket); }
  void use_vllm() { vllm_ = true; }
  bool is_vllm() const { return vllm_; }

  void session_created(const SessionConfig& config);
  void session_updated(const SessionConfig& config, bool legacy);
  /// @param cause  event_id of the client's message, "" if it had none
  void error(const ApiError& error, const std::string& cause);
  void cleared();
  void speech_started(const RealtimeItem& item, double at_s);
  void speech_stopped(const RealtimeItem& item, double at_s);
  /// input_audio_buffer.committed, conversation.item.added and .done
  void committed(const RealtimeItem& item);
  /// What may follow the text of the item; replaces the guess before.
  void partial(const RealtimeItem& item, const std::string& text);
  void delta(const RealtimeItem& item, const std::string& text);
  void completed(const RealtimeItem& item, bool logprobs);
  void failed(const RealtimeItem& item, const ApiError& error);

 private:
  void send(nlohmann::ordered_json event);

  const std::string session_id_;
  std::shared_ptr<Socket> socket_;
  std::string previous_item_;
  bool vllm_ = false;
};

}  // namespace qasr::server
