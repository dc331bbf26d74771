#include "server/app.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/transcription_json.h"
#include "server/web/web_page.h"

namespace qasr::server {
namespace {

using nlohmann::ordered_json;

ApiError method_not_allowed(const std::string& method) {
  return ApiError(405, "found method " + method + ", which this route does not have", {}, "method_not_allowed");
}

// Names for metrics: a fixed set, whatever clients ask for.
std::string route_name(const std::string& path) {
  for (const char* known : {"/", "/health", "/ready", "/metrics", "/v1/models", "/v1/audio/transcriptions",
                            "/v1/audio/translations", "/v1/realtime"}) {
    if (path == known) return known;
  }
  return path.starts_with("/v1/models/") ? "/v1/models/{model}" : "other";
}

bool is_public(const std::string& path) { return path == "/" || path == "/health" || path == "/ready"; }

}  // namespace

App::App(AppOptions options)
    : options_(std::move(options)),
      keys_(options_.api_keys.empty() ? std::vector<ApiKey>() : read_api_keys(options_.api_keys)),
      log_(options_.access_log),
      workers_(std::make_unique<WorkerPool>(options_.n_workers, options_.max_queue)) {
  for (const auto& [alias, name] : options_.aliases) {
    const auto is_target = [&, target = name](const ServedModel& model) { return model.name == target; };
    if (std::none_of(options_.models.begin(), options_.models.end(), is_target)) {
      throw Error(ErrorCode::kInvalidArgument, "--alias " + alias + "=" + name + ": there is no model " + name);
    }
  }
}

App::~App() { shut_down(); }

double App::now_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

const ServedModel& App::find_model(const std::string& name) const {
  const auto alias = options_.aliases.find(name);
  const std::string& wanted = alias == options_.aliases.end() ? name : alias->second;
  for (const ServedModel& model : options_.models) {
    if (model.name == wanted) return model;
  }
  std::string known;
  for (const ServedModel& model : options_.models) known += (known.empty() ? "" : ", ") + model.name;
  throw ApiError(404, "the model '" + name + "' does not exist; this server has " + known, "model", "model_not_found");
}

std::unique_ptr<BodySink> App::on_request(const RequestHead& head, std::shared_ptr<Exchange> exchange) {
  const auto context = std::make_shared<RequestContext>(std::move(exchange), head, log_, *metrics_);
  context->route = route_name(head.path);
  try {
    return route(head, context);
  } catch (const ApiError& error) {
    Response response = error_response(error);
    if (error.status() == 405)
      response.headers.push_back({"Allow", head.path.starts_with("/v1/audio") ? "POST" : "GET, HEAD"});
    context->respond(std::move(response));
  }
  return nullptr;
}

std::unique_ptr<BodySink> App::route(const RequestHead& head, const Context& context) {
  add_cors(head, *context);
  if (head.method == "OPTIONS") {
    context->respond({.status = 204, .content_type = "", .headers = {{"Allow", "GET, HEAD, POST, OPTIONS"}}});
    return nullptr;
  }
  if (!is_public(head.path)) authorize(head, *context);
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (head.path == "/v1/audio/transcriptions") {
    if (head.method != "POST") throw method_not_allowed(head.method);
    return accept_upload(head, context);
  }
  if (head.path == "/v1/audio/translations") {
    if (head.method != "POST") throw method_not_allowed(head.method);
    throw ApiError(400, "Qwen3-ASR writes down what is said in its own language and cannot translate", "model",
                   "unsupported_operation");
  }
  if (context->route == "other") {
    throw ApiError(404, "there is no route " + head.method + " " + head.path, {}, "unknown_url");
  }
  if (!reads) throw method_not_allowed(head.method);
  if (head.path == "/v1/realtime") {
    throw ApiError(426, "this route is a WebSocket: the request must ask for an upgrade", {}, "upgrade_required");
  }
  if (head.path == "/") {
    context->respond(web_page());
  } else if (head.path == "/health") {
    context->respond({.body = R"({"status":"ok"})"});
  } else if (head.path == "/ready") {
    check_ready();
    context->respond({.body = R"({"status":"ready"})"});
  } else if (head.path == "/metrics") {
    get_metrics(*context);
  } else {
    get_models(head, *context);
  }
  return nullptr;
}

void App::check_ready() const {
  if (draining_) throw shutting_down();
}

void App::authorize(const RequestHead& head, RequestContext& context) const {
  if (options_.api_keys.empty()) return;
  const std::string_view token = bearer_token(head.header("Authorization"));
  if (token.empty()) {
    throw ApiError(401, "no API key: expected a header Authorization: Bearer KEY", {}, "missing_api_key");
  }
  const ApiKey* key = find_key(keys_, token);
  if (key == nullptr) throw ApiError(401, "the API key is not known to this server", {}, "invalid_api_key");
  context.key = *key;
}

void App::add_cors(const RequestHead& head, RequestContext& context) const {
  const std::string origin(head.header("Origin"));
  const auto& allowed = options_.origins;
  if (origin.empty() || allowed.empty()) return;
  const bool any = std::count(allowed.begin(), allowed.end(), "*") > 0;
  if (!any && std::count(allowed.begin(), allowed.end(), origin) == 0) return;
  context.headers = {{"Access-Control-Allow-Origin", any ? "*" : origin},
                     {"Vary", "Origin"},
                     {"Access-Control-Expose-Headers", "x-request-id, Retry-After"}};
  if (head.method != "OPTIONS") return;
  const std::string_view wanted = head.header("Access-Control-Request-Headers");
  context.headers.push_back({"Access-Control-Allow-Methods", "GET, POST, OPTIONS"});
  context.headers.push_back(
      {"Access-Control-Allow-Headers", wanted.empty() ? "Authorization, Content-Type" : std::string(wanted)});
  context.headers.push_back({"Access-Control-Max-Age", "3600"});
}

void App::get_models(const RequestHead& head, RequestContext& context) const {
  const auto created = std::chrono::duration_cast<std::chrono::seconds>(started_.time_since_epoch()).count();
  const auto entry = [&](const std::string& id) {
    return ordered_json{{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", "qasr"}};
  };
  const std::string prefix = "/v1/models/";
  if (head.path.starts_with(prefix)) {
    const std::string name = head.path.substr(prefix.size());
    find_model(name);
    return context.respond({.body = json_text(entry(name))});
  }
  ordered_json data = ordered_json::array();
  for (const ServedModel& model : options_.models) data.push_back(entry(model.name));
  for (const auto& [alias, name] : options_.aliases) data.push_back(entry(alias));
  context.respond({.body = json_text({{"object", "list"}, {"data", std::move(data)}})});
}

void App::get_metrics(RequestContext& context) {
  metrics_->set_gauges({.n_connections = options_.n_connections ? options_.n_connections() : 0,
                        .n_running = workers_->n_running(),
                        .n_waiting = workers_->n_waiting(),
                        .n_realtime = *n_realtime_});
  for (const ServedModel& model : options_.models) metrics_->set_engine(model.name, model.engine->current_load());
  context.respond({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_->text()});
}

Response App::on_protocol_error(int status, const std::string& message) {
  metrics_->count_error(std::to_string(status));
  metrics_->count_request("other", status);
  Response response = error_response(ApiError(status, message));
  response.headers.push_back({"x-request-id", make_id("req_")});
  return response;
}

void App::on_tick() {
  std::erase_if(transcriptions_, [&](const std::weak_ptr<Transcription>& weak) {
    const auto transcription = weak.lock();
    if (transcription == nullptr) return true;
    if (transcription->is_overdue()) {
      transcription->cancel(
          ApiError(504, "the transcription took longer than this server allows (--timeout)", {}, "timeout"));
    }
    return false;
  });
}

void App::reload() {
  if (!options_.api_keys.empty()) keys_ = read_api_keys(options_.api_keys);
  log_.reopen();
}

void App::drain() { draining_ = true; }

bool App::is_idle() const { return *n_unfinished_ == 0 && *n_uploads_ == 0 && *n_realtime_ == 0; }

void App::cancel_all(const ApiError& reason) {
  for (const std::weak_ptr<Transcription>& weak : transcriptions_) {
    if (const auto transcription = weak.lock()) transcription->cancel(reason);
  }
}

void App::shut_down() {
  if (workers_ == nullptr) return;
  cancel_all(shutting_down());
  workers_.reset();
}

}  // namespace qasr::server
