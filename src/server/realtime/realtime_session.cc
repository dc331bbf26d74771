#include "server/realtime/realtime_session.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/request_context.h"

namespace qasr::server {
namespace {

using nlohmann::json;

constexpr int kCloseNormal = 1000, kCloseGoingAway = 1001, kClosePolicy = 1008;
constexpr int kVllmRate = 16000;
constexpr std::string_view kKeyPrefix = "openai-insecure-api-key.";

std::string string_of(const json& message, const char* name) {
  return message.contains(name) && message[name].is_string() ? message[name].get<std::string>() : "";
}

double seconds_since(std::chrono::steady_clock::time_point at) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - at).count();
}

}  // namespace

RealtimeSubprotocols parse_subprotocols(std::string_view header) {
  RealtimeSubprotocols found;
  while (!header.empty()) {
    std::string_view name = header.substr(0, header.find(','));
    header.remove_prefix(std::min(header.size(), name.size() + 1));
    name.remove_prefix(std::min(name.find_first_not_of(" \t"), name.size()));
    name = name.substr(0, name.find_last_not_of(" \t") + 1);
    if (name == "realtime") found.selected = name;
    if (name.starts_with(kKeyPrefix)) found.key = name.substr(kKeyPrefix.size());
  }
  return found;
}

RealtimeSession::RealtimeSession(RealtimeContext context, const std::string& model)
    : context_(std::move(context)), sender_(make_id("sess_")), decoder_(AudioCodec::kPcm16) {
  config_.model = model;
}

RealtimeSession::~RealtimeSession() { on_closed(); }

void RealtimeSession::on_open(std::shared_ptr<Socket> socket) {
  socket_ = std::move(socket);
  sender_.open(socket_);
  sender_.session_created(config_);
}

void RealtimeSession::on_closed() {
  if (std::exchange(over_, true)) return;
  track_.reset();
  retired_.clear();
  if (context_.on_end) context_.on_end(audio_s_);
}

void RealtimeSession::on_message(std::string_view text, bool is_text) {
  last_message_ = Clock::now();
  if (closing_ || over_) return;
  std::string cause;
  try {
    if (!is_text) throw ApiError(400, "found a binary message, expected JSON as text", {}, "invalid_message");
    const json message = json::parse(text, nullptr, false);
    if (!message.is_object()) throw ApiError(400, "the message is no JSON object", {}, "invalid_json");
    cause = string_of(message, "event_id");
    handle(message);
  } catch (const ApiError& error) {
    sender_.error(error, cause);
  } catch (const Error& error) {
    sender_.error(api_error(error), cause);
  } catch (const json::exception& error) {
    sender_.error(ApiError(400, error.what(), {}, "invalid_json"), cause);
  }
}

void RealtimeSession::handle(const json& message) {
  const std::string type = string_of(message, "type");
  if (std::exchange(first_message_, false) && type == "session.update" && !message.contains("session")) {
    sender_.use_vllm();
  }
  if (type == "session.update") return sender_.is_vllm() ? update_vllm(message) : update(message);
  if (type == "transcription_session.update") return update(message);
  if (type == "input_audio_buffer.append") return append(message);
  if (type == "input_audio_buffer.commit") return commit(message);
  if (type == "input_audio_buffer.clear") return clear();
  throw ApiError(400,
                 "unknown type '" + type +
                     "', expected session.update, input_audio_buffer.append, "
                     "input_audio_buffer.commit or input_audio_buffer.clear",
                 "type", "unknown_event");
}

void RealtimeSession::update(const json& message) {
  if (!message.contains("session")) throw ApiError(400, "a session.update needs an object session", "session");
  SessionConfig config = config_;
  const bool legacy = message["type"] == "transcription_session.update";
  legacy ? update_legacy_session(config, message["session"]) : update_session(config, message["session"]);
  change_config(std::move(config));
  sender_.session_updated(config_, legacy);
}

void RealtimeSession::update_vllm(const json& message) {
  SessionConfig config = config_;
  if (const std::string model = string_of(message, "model"); !model.empty()) config.model = model;
  config.sample_rate = kVllmRate;
  config.server_vad = false;
  change_config(std::move(config));
}

// A stream has one configuration: the next audio begins another.
void RealtimeSession::change_config(SessionConfig config) {
  if (config == config_) return;
  context_.find_engine(config.model);
  retire_track();
  config_ = std::move(config);
  decoder_ = AudioDecoder(config_.codec);
}

void RealtimeSession::append(const json& message) {
  if (!message.contains("audio") || !message["audio"].is_string()) {
    throw ApiError(400, "an input_audio_buffer.append needs a string audio", "audio");
  }
  const std::string& audio = message["audio"].get_ref<const std::string&>();
  if (audio.size() > kMaxAudioMessageBytes)
    throw ApiError(400, "audio has more than 15 MiB", "audio", "audio_too_large");
  const auto bytes = decode_base64(audio);
  if (!bytes) throw ApiError(400, "audio is not base64", "audio", "invalid_base64");
  samples_ = decoder_.decode(*bytes);
  n_pushed_ = 0;
  const double audio_s = static_cast<double>(samples_.size()) / config_.sample_rate;
  if (context_.charge && !context_.charge(audio_s)) {
    samples_.clear();
    return end(ApiError(429, "the quota of this API key is used up", {}, "rate_limit_exceeded"), kClosePolicy);
  }
  audio_s_ += audio_s;
  push_samples();
}

void RealtimeSession::push_samples() {
  if (wants_more()) return;
  if (track_ == nullptr) open_track();
  n_pushed_ += track_->push(std::span(samples_).subspan(n_pushed_));
  if (!wants_more()) return;
  samples_ = {};
  n_pushed_ = 0;
}

void RealtimeSession::open_track() {
  const double pending_s = static_cast<double>(samples_.size() - n_pushed_) / config_.sample_rate;
  const auto track =
      std::make_shared<ItemTrack>(config_, std::max(0.0, audio_s_ - pending_s), sender_, *context_.metrics);
  StreamOptions options = stream_options(config_);
  // The scheduler's thread: events go to the network's. Unless the client wants guesses, only the first of a segment is
  // of use.
  auto last_partial = std::make_shared<std::size_t>(SIZE_MAX);
  options.on_event = [weak = weak_from_this(), socket = socket_, to = std::weak_ptr(track), all = config_.partials,
                      last_partial](const StreamEvent& event) {
    if (event.kind == StreamEvent::Kind::kPartial && !all) {
      if (event.text.empty() || *last_partial == event.segment) return;
      *last_partial = event.segment;
    }
    socket->post([weak, to, event] {
      if (const auto self = weak.lock()) self->on_event(to, event);
    });
  };
  track->open(context_.open_stream(context_.find_engine(config_.model), std::move(options)));
  track_ = track;
}

void RealtimeSession::retire_track() {
  if (track_ == nullptr) return;
  track_->close();
  retired_.push_back(std::move(track_));
}

void RealtimeSession::on_event(const std::weak_ptr<ItemTrack>& to, const StreamEvent& event) {
  const auto track = to.lock();
  if (track == nullptr || over_) return;
  track->on_event(event);
  if (!track->has_ended()) return;
  std::erase(retired_, track);
  if (track_ == track) track_.reset();
}

void RealtimeSession::commit(const json& message) {
  const bool continues = sender_.is_vllm() && !(message.contains("final") && message["final"] == true);
  if (continues) return;  // vLLM's way to say that audio begins
  if (track_ == nullptr || !track_->commit()) {
    throw ApiError(400, "there is no audio to commit", {}, "input_audio_buffer_commit_empty");
  }
}

void RealtimeSession::clear() {
  decoder_.reset();
  if (track_ != nullptr && !track_->clear()) {
    track_->close_after();
    retired_.push_back(std::move(track_));
  }
  sender_.cleared();
}

void RealtimeSession::on_tick() {
  if (over_) return;
  try {
    push_samples();
  } catch (const Error& error) {
    samples_.clear();
    n_pushed_ = 0;
    sender_.error(api_error(error), "");
  }
  if (closing_) {
    if (track_ == nullptr && retired_.empty()) socket_->close(kCloseGoingAway, "the server is shutting down");
    return;
  }
  if (context_.is_draining && context_.is_draining()) {
    closing_ = true;
    sender_.error(shutting_down(), "");
    retire_track();
  } else if (seconds_since(begin_) > context_.max_s) {
    end(ApiError(400, "the session has reached its longest duration", {}, "session_expired"), kCloseNormal);
  } else if (wants_more() && seconds_since(last_message_) > context_.idle_s) {
    end(ApiError(400, "the session was idle for too long", {}, "session_idle"), kCloseNormal);
  }
}

void RealtimeSession::end(const ApiError& reason, int close_code) {
  sender_.error(reason, "");
  track_.reset();
  retired_.clear();
  closing_ = true;
  socket_->close(close_code, reason.code());
}

}  // namespace qasr::server
