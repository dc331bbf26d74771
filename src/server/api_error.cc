#include "server/api_error.h"

#include <nlohmann/json.hpp>

namespace qasr::server {
namespace {

const char* error_type(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

ApiError api_error(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInput:
      return ApiError(400, error.what(), "file", "invalid_audio");
    case ErrorCode::kInvalidArgument:
      return ApiError(400, error.what());
    case ErrorCode::kOutOfMemory: {
      ApiError busy(503, error.what(), {}, "out_of_memory");
      busy.retry_after_s = 5;
      return busy;
    }
    default:
      return ApiError(500, error.what(), {}, "internal_error");
  }
}

ApiError shutting_down() {
  ApiError error(503, "this server is shutting down", {}, "shutting_down");
  error.retry_after_s = 5;
  return error;
}

std::string error_body(const ApiError& error) {
  using nlohmann::ordered_json;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); };
  const ordered_json json = {{"error",
                              {{"message", error.what()},
                               {"type", error_type(error.status())},
                               {"param", text_or_null(error.param())},
                               {"code", text_or_null(error.code())}}}};
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Response error_response(const ApiError& error) {
  Response response{.status = error.status(), .body = error_body(error)};
  if (error.retry_after_s > 0) response.headers.push_back({"Retry-After", std::to_string(error.retry_after_s)});
  if (error.status() == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace qasr::server
