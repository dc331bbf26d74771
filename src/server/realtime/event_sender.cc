#include "server/realtime/event_sender.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "qasr/languages.h"
#include "server/request_context.h"
#include "server/transcription_json.h"

namespace qasr::server {
namespace {

using nlohmann::ordered_json;

long long ms(double seconds) { return std::llround(seconds * 1000); }

ordered_json error_json(const ApiError& error) { return ordered_json::parse(error_body(error))["error"]; }

ordered_json item_event(const char* type, const RealtimeItem& item) {
  return {{"type", std::string("conversation.item.input_audio_transcription.") + type},
          {"item_id", item.id},
          {"content_index", 0}};
}

}  // namespace

void EventSender::send(ordered_json event) {
  if (socket_ == nullptr) return;
  if (!vllm_) event["event_id"] = make_id("event_");
  socket_->send(json_text(event));
}

// Both dialects at once: the client has said nothing yet.
void EventSender::session_created(const SessionConfig& config) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  send({{"type", "session.created"},
        {"id", session_id_},
        {"created", std::chrono::duration_cast<std::chrono::seconds>(now).count()},
        {"session", session_json(config, session_id_)}});
}

void EventSender::session_updated(const SessionConfig& config, bool legacy) {
  if (vllm_) return;
  send({{"type", legacy ? "transcription_session.updated" : "session.updated"},
        {"session", session_json(config, session_id_)}});
}

void EventSender::error(const ApiError& error, const std::string& cause) {
  const ordered_json json = error_json(error);
  if (vllm_)
    return send(
        {{"type", "error"}, {"error", error.what()}, {"code", json["code"].is_null() ? json["type"] : json["code"]}});
  ordered_json with_cause = json;
  with_cause["event_id"] = cause.empty() ? ordered_json() : ordered_json(cause);
  send({{"type", "error"}, {"error", with_cause}});
}

void EventSender::cleared() {
  if (!vllm_) send({{"type", "input_audio_buffer.cleared"}});
}

void EventSender::speech_started(const RealtimeItem& item, double at_s) {
  if (vllm_) return;
  send({{"type", "input_audio_buffer.speech_started"}, {"audio_start_ms", ms(at_s)}, {"item_id", item.id}});
}

void EventSender::speech_stopped(const RealtimeItem& item, double at_s) {
  if (vllm_) return;
  send({{"type", "input_audio_buffer.speech_stopped"}, {"audio_end_ms", ms(at_s)}, {"item_id", item.id}});
}

void EventSender::committed(const RealtimeItem& item) {
  if (vllm_) return;
  const ordered_json previous = previous_item_.empty() ? ordered_json() : ordered_json(previous_item_);
  send({{"type", "input_audio_buffer.committed"}, {"item_id", item.id}, {"previous_item_id", previous}});
  const ordered_json entry = {{"id", item.id},     {"object", "realtime.item"},
                              {"type", "message"}, {"status", "completed"},
                              {"role", "user"},    {"content", {{{"type", "input_audio"}, {"transcript", nullptr}}}}};
  for (const char* type : {"conversation.item.added", "conversation.item.done"}) {
    send({{"type", type}, {"previous_item_id", previous}, {"item", entry}});
  }
  previous_item_ = item.id;
}

void EventSender::partial(const RealtimeItem& item, const std::string& text) {
  send({{"type", "qasr.partial"}, {"item_id", item.id}, {"content_index", 0}, {"text", text}});
}

void EventSender::delta(const RealtimeItem& item, const std::string& text) {
  if (vllm_) return send({{"type", "transcription.delta"}, {"delta", text}});
  ordered_json event = item_event("delta", item);
  event["delta"] = text;
  send(std::move(event));
}

void EventSender::completed(const RealtimeItem& item, bool logprobs) {
  if (vllm_) {
    const ordered_json usage = token_usage(item.timings);
    return send({{"type", "transcription.done"},
                 {"text", item.text},
                 {"usage",
                  {{"prompt_tokens", usage["input_tokens"]},
                   {"completion_tokens", usage["output_tokens"]},
                   {"total_tokens", usage["total_tokens"]}}}});
  }
  ordered_json event = item_event("completed", item);
  event["transcript"] = item.text;
  event["usage"] = duration_usage(item.audio_s);
  if (const auto language = find_language(item.language)) {
    event["languages"] = {{{"code", std::string(language->code)}}};
  }
  if (logprobs) event["logprobs"] = logprobs_json(item.tokens);
  send(std::move(event));
}

void EventSender::failed(const RealtimeItem& item, const ApiError& error) {
  if (vllm_) return;
  ordered_json event = item_event("failed", item);
  event["error"] = error_json(error);
  send(std::move(event));
}

}  // namespace qasr::server
