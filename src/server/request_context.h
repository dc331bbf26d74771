// RequestContext: an exchange that knows its request: adds x-request-id and CORS headers, logs and counts the answer.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/access_log.h"
#include "server/api_keys.h"
#include "server/exchange.h"
#include "server/metrics.h"

namespace qasr::server {

class RequestContext final : public Exchange, public std::enable_shared_from_this<RequestContext> {
 public:
  /// Borrows log and metrics, which must live as long as the exchange may be answered.
  RequestContext(std::shared_ptr<Exchange> exchange, const RequestHead& head, AccessLog& log, Metrics& metrics);
  ~RequestContext() override;

  /// Headers for all answers, as CORS wants them.
  std::vector<Header> headers;
  std::string route = "other";  ///< for metrics: a fixed set of names
  std::optional<ApiKey> key;
  // Before the answer ends, for the log:
  std::string model;
  std::atomic<double> audio_s = 0;

  const std::string& request_id() const { return entry_.request_id; }
  void respond(Response response) override;
  void begin(Response head) override;
  void write(std::string piece) override { exchange_->write(std::move(piece)); }
  void end() override;
  void on_disconnect(std::function<void()> callback) override { exchange_->on_disconnect(std::move(callback)); }

 private:
  void add_headers(Response& response) const;
  void log(int status);

  std::shared_ptr<Exchange> exchange_;
  AccessLog& log_;
  Metrics& metrics_;
  AccessEntry entry_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int begun_status_ = 0;
  std::atomic<bool> logged_ = false;
};

/// "req_" and 24 random hexadecimal digits.
std::string make_id(const std::string& prefix);

}  // namespace qasr::server
