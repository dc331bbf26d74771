#include "server/server.h"

#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <utility>

namespace qasr::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kFlushTime = std::chrono::milliseconds(250);  // for the last answers to be read

std::chrono::milliseconds duration(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// A connection is a descriptor, and so is a spooled upload.
void allow_many_descriptors() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct Server::Impl final : Handler {
  explicit Impl(ServerOptions wanted)
      : options(std::move(wanted)), app(with_connections(options.app)), network(options.network, *this) {}
  ~Impl() override { app.shut_down(); }

  AppOptions with_connections(AppOptions app_options) {
    app_options.n_connections = [this] { return network.n_connections(); };
    return app_options;
  }
  void log(const std::string& line) const {
    if (options.log) options.log(line);
  }

  std::unique_ptr<BodySink> on_request(const RequestHead& head, std::shared_ptr<Exchange> exchange) override {
    return app.on_request(head, std::move(exchange));
  }
  SocketDecision on_socket(const RequestHead& head) override { return app.on_socket(head); }
  Response on_protocol_error(int status, const std::string& message) override {
    return app.on_protocol_error(status, message);
  }
  void on_tick() override;
  void on_signal(int signal);
  void reload();

  const ServerOptions options;
  App app;
  std::optional<Clock::time_point> deadline, idle_since;
  bool cancelled = false;
  NetworkServer network;  // last: it calls the others
};

void Server::Impl::reload() {
  try {
    app.reload();
    log("API keys read again");
  } catch (const Error& error) {
    log(std::string("the old API keys stay: ") + error.what());
  }
}

void Server::Impl::on_signal(int signal) {
  if (signal == SIGHUP) return reload();
  if (deadline) return network.stop();
  log("shutting down when what is under way is finished");
  app.drain();
  deadline = Clock::now() + duration(options.drain_timeout_s);
}

void Server::Impl::on_tick() {
  app.on_tick();
  if (!deadline) return;
  const auto now = Clock::now();
  if (now > *deadline && !cancelled) {
    cancelled = true;
    app.cancel_all(shutting_down());
  }
  if (!app.is_idle()) {
    idle_since.reset();
    if (now > *deadline + 8 * kFlushTime) network.stop();
    return;
  }
  if (!idle_since) idle_since = now;
  if (now - *idle_since > kFlushTime) network.stop();
}

Server::Server(ServerOptions options) {
  allow_many_descriptors();
  impl_ = std::make_unique<Impl>(std::move(options));
}

Server::~Server() = default;

int Server::port() const { return impl_->network.port(); }

void Server::run() {
  impl_->network.on_signals({SIGTERM, SIGINT, SIGHUP}, [impl = impl_.get()](int signal) { impl->on_signal(signal); });
  impl_->network.run();
}

}  // namespace qasr::server
