// ApiError: why a request is refused, in the terms of the OpenAI API; and its form on the wire.
#pragma once

#include <stdexcept>
#include <string>

#include "qasr/error.h"
#include "server/http_types.h"

namespace qasr::server {

/// Thrown while a request is read and checked; becomes a response, never leaves the server.
class ApiError : public std::runtime_error {
 public:
  /// @param param  the field that is wrong, "" if none
  /// @param code   "" for null
  ApiError(int status, const std::string& message, std::string param = {}, std::string code = {})
      : std::runtime_error(message), status_(status), param_(std::move(param)), code_(std::move(code)) {}
  int status() const noexcept { return status_; }
  const std::string& param() const noexcept { return param_; }
  const std::string& code() const noexcept { return code_; }
  /// Seconds for Retry-After; 0: none.
  int retry_after_s = 0;

 private:
  int status_;
  std::string param_, code_;
};

/// What a failure of the engine means for the client.
ApiError api_error(const Error& error);
/// 503: no new work, because the server ends.
ApiError shutting_down();
/// {"error": {"message", "type", "param", "code"}}
std::string error_body(const ApiError& error);
Response error_response(const ApiError& error);

}  // namespace qasr::server
