#include "server/request_context.h"

#include <openssl/rand.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace qasr::server {
namespace {

// The code of an error's body, or its message.
std::string error_of(const Response& response) {
  if (response.status < 400) return {};
  const nlohmann::json json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object() || !json.contains("error")) return {};
  const nlohmann::json& error = json["error"];
  return error["code"].is_string() ? error["code"].get<std::string>() : error.value("message", "");
}

}  // namespace

std::string make_id(const std::string& prefix) {
  static constexpr const char* kDigits = "0123456789abcdef";
  unsigned char bytes[12] = {};
  RAND_bytes(bytes, sizeof(bytes));
  std::string id = prefix;
  for (const unsigned char byte : bytes) {
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  return id;
}

RequestContext::RequestContext(std::shared_ptr<Exchange> exchange, const RequestHead& head, AccessLog& access_log,
                               Metrics& metrics)
    : exchange_(std::move(exchange)),
      log_(access_log),
      metrics_(metrics),
      entry_{.remote = head.remote, .method = head.method, .path = head.path, .request_id = make_id("req_")} {}

RequestContext::~RequestContext() {
  if (!logged_) log(begun_status_ != 0 ? begun_status_ : kClientGone);
}

void RequestContext::add_headers(Response& response) const {
  response.headers.push_back({"x-request-id", entry_.request_id});
  response.headers.insert(response.headers.end(), headers.begin(), headers.end());
}

void RequestContext::respond(Response response) {
  entry_.error = error_of(response);
  if (response.status >= 400) {
    const nlohmann::json json = nlohmann::json::parse(response.body, nullptr, false);
    const bool has_code = json.is_object() && json["error"]["code"].is_string();
    metrics_.count_error(has_code ? json["error"]["code"].get<std::string>() : std::to_string(response.status));
  }
  add_headers(response);
  log(response.status);
  exchange_->respond(std::move(response));
}

void RequestContext::begin(Response head) {
  begun_status_ = head.status;
  add_headers(head);
  exchange_->begin(std::move(head));
}

void RequestContext::end() {
  log(begun_status_);
  exchange_->end();
}

void RequestContext::log(int status) {
  if (logged_.exchange(true)) return;
  entry_.status = status;
  entry_.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
  entry_.key = key ? key->name : "";
  entry_.model = model;
  entry_.audio_s = audio_s;
  metrics_.count_request(route, status);
  log_.write(entry_);
}

}  // namespace qasr::server
