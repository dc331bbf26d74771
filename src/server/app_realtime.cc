// The part of App that decides who may open a Realtime session.
#include <algorithm>
#include <utility>

#include "server/app.h"
#include "server/realtime/realtime_session.h"

namespace qasr::server {
namespace {

constexpr int kSwitchingProtocols = 101;

// A page of another site must not use a server that trusts its network: browsers say where a page comes from.
bool is_foreign(const RequestHead& head, const std::vector<std::string>& origins) {
  const std::string origin(head.header("Origin"));
  if (origin.empty() || std::count(origins.begin(), origins.end(), origin) > 0) return false;
  if (std::count(origins.begin(), origins.end(), "*") > 0) return false;
  const std::size_t host = origin.find("://");
  return host == std::string::npos || !equal_ignoring_case(origin.substr(host + 3), head.header("Host"));
}

}  // namespace

SocketDecision App::on_socket(const RequestHead& head) {
  AccessEntry entry{.remote = head.remote, .method = head.method, .path = head.path, .request_id = make_id("req_")};
  try {
    if (head.path != "/v1/realtime") throw ApiError(404, "there is no WebSocket at " + head.path, {}, "unknown_url");
    if (draining_) throw shutting_down();
    if (is_foreign(head, options_.origins)) {
      throw ApiError(403, "pages of " + std::string(head.header("Origin")) + " may not use this server (--cors)", {},
                     "origin_not_allowed");
    }
    const RealtimeSubprotocols protocols = parse_subprotocols(head.header("Sec-WebSocket-Protocol"));
    std::optional<ApiKey> key;
    if (!options_.api_keys.empty()) {
      const std::string_view bearer = bearer_token(head.header("Authorization"));
      const ApiKey* known = find_key(keys_, bearer.empty() ? protocols.key : bearer);
      if (known == nullptr)
        throw ApiError(401, "the API key is missing or not known to this server", {}, "invalid_api_key");
      key = *known;
    }
    const std::string model = head.parameter("model").value_or(options_.models.front().name);
    find_model(model);
    if (*n_realtime_ >= options_.max_realtime) {
      ApiError error(429, "this server has too many Realtime sessions (--max-realtime)", {}, "server_busy");
      error.retry_after_s = 5;
      throw error;
    }
    int retry_after_s = 0;
    if (key && !quotas_->acquire(*key, now_s(), retry_after_s)) {
      ApiError error(429, "the quota of this API key is used up", {}, "rate_limit_exceeded");
      error.retry_after_s = retry_after_s;
      throw error;
    }
    ++*n_realtime_;
    metrics_->count_request("/v1/realtime", kSwitchingProtocols);
    entry.status = kSwitchingProtocols;
    entry.model = model;
    entry.key = key ? key->name : "";
    return {.handler = make_session(model, key, std::move(entry)),
            .subprotocol = protocols.selected,
            .max_message_bytes = kMaxRealtimeMessageBytes};
  } catch (const ApiError& error) {
    entry.status = error.status();
    entry.error = error.code();
    log_.write(entry);
    metrics_->count_request("/v1/realtime", error.status());
    metrics_->count_error(error.code());
    SocketDecision refused;
    refused.refusal = error_response(error);
    refused.refusal.headers.push_back({"x-request-id", entry.request_id});
    return refused;
  }
}

std::shared_ptr<SocketHandler> App::make_session(const std::string& model, const std::optional<ApiKey>& key,
                                                 AccessEntry entry) {
  RealtimeContext context;
  context.find_engine = [this](const std::string& name) { return find_model(name).engine; };
  context.open_stream = options_.open_stream;
  context.is_draining = [this] { return draining_; };
  context.metrics = metrics_;
  context.idle_s = options_.realtime_idle_s;
  context.max_s = options_.realtime_max_s;
  if (key) {
    context.charge = [this, quotas = quotas_, key = *key](double audio_s) {
      quotas->charge(key, audio_s, now_s());
      return quotas->has_balance(key, now_s());
    };
  }
  // The line of the log comes when the session ends, with its duration.
  context.on_end = [this, key, entry = std::move(entry), begin = now_s()](double audio_s) mutable {
    if (key) quotas_->release(key->name);
    entry.ms = 1000 * (now_s() - begin);
    entry.audio_s = audio_s;
    log_.write(entry);
    --*n_realtime_;
  };
  return std::make_shared<RealtimeSession>(std::move(context), model);
}

}  // namespace qasr::server
