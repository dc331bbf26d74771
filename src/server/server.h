// Server: App and NetworkServer together, with signals and an orderly end.
#pragma once

#include <functional>
#include <memory>

#include "server/app.h"
#include "server/network/network_server.h"

namespace qasr::server {

struct ServerOptions {
  AppOptions app{};
  NetworkOptions network{};
  double drain_timeout_s = 30;  ///< after SIGTERM: what is not finished by then is ended
  std::function<void(const std::string&)> log{};
};

class Server {
 public:
  /// Listens. @throws Error kInvalidArgument
  explicit Server(ServerOptions options);
  ~Server();

  int port() const;
  /// Serves until SIGTERM or SIGINT and then until work is finished; a second signal ends it at once. SIGHUP reads the
  /// API keys again.
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr::server
