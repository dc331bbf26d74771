// NetworkServer: listens, accepts, and runs HTTP connections and WebSockets on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/exchange.h"

namespace qasr::server {

struct NetworkOptions {
  std::string host = "127.0.0.1";
  int port = 8000;                    ///< 0: any free one
  std::string tls_cert{}, tls_key{};  ///< PEM files; both or none
  std::uint64_t max_body_bytes = 0;   ///< of a request
  int max_connections = 4096;         ///< more are answered with 503 and closed
  double idle_timeout_s = 60;         ///< for the next request of a connection, its head included
  double body_timeout_s = 30;         ///< without a byte of the body
  double body_deadline_s = 3600;      ///< for the whole body
  double write_timeout_s = 60;        ///< without progress of a response
};

class NetworkServer {
 public:
  /// Binds and listens; accepting begins with run().
  /// @throws Error kInvalidArgument  address, port or certificate cannot be used
  NetworkServer(const NetworkOptions& options, Handler& handler);
  ~NetworkServer();

  int port() const;
  /// Handles connections until stop(); on this thread.
  void run();
  /// Closes everything and makes run() return. Any thread.
  void stop();
  /// Runs `task` on the network's thread.
  void post(std::function<void()> task);
  /// Calls `callback` on the network's thread for each of these signals; before run().
  void on_signals(std::initializer_list<int> signals, std::function<void(int)> callback);
  int n_connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr::server
