#include "server/network/network_server.h"

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "qasr/error.h"
#include "server/network/http_connection.h"

namespace qasr::server {
namespace {

using Tcp = net::ip::tcp;

constexpr auto kTick = std::chrono::milliseconds(100);

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, "server: " + message); }

std::optional<net::ssl::context> make_tls(const NetworkOptions& options) {
  if (options.tls_cert.empty() && options.tls_key.empty()) return std::nullopt;
  if (options.tls_cert.empty() || options.tls_key.empty()) refuse("--tls-cert and --tls-key belong together");
  net::ssl::context context(net::ssl::context::tls_server);
  context.set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                      net::ssl::context::no_tlsv1_1);
  SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  boost::system::error_code error;
  context.use_certificate_chain_file(options.tls_cert, error);
  if (error) refuse("cannot use the certificate " + options.tls_cert + ": " + error.message());
  context.use_private_key_file(options.tls_key, net::ssl::context::pem, error);
  if (error) refuse("cannot use the key " + options.tls_key + ": " + error.message());
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    refuse("the key " + options.tls_key + " does not belong to the certificate " + options.tls_cert);
  }
  return context;
}

}  // namespace

struct NetworkServer::Impl {
  Impl(const NetworkOptions& options, Handler& handler)
      : context(new NetworkContext{options, handler, {}, {}}),
        tls(make_tls(options)),
        acceptor(io),
        ticks(io),
        pause(io) {}

  void listen();
  void accept();
  void tick();

  net::io_context io{1};
  std::shared_ptr<NetworkContext> context;
  std::optional<net::ssl::context> tls;
  Tcp::acceptor acceptor;
  net::steady_timer ticks, pause;
  std::vector<std::unique_ptr<net::signal_set>> signals;
};

void NetworkServer::Impl::listen() {
  const NetworkOptions& options = context->options;
  const std::string where = options.host + ":" + std::to_string(options.port);
  boost::system::error_code error;
  Tcp::resolver resolver(io);
  const auto found = resolver.resolve(options.host, std::to_string(options.port), Tcp::resolver::passive, error);
  if (error || found.empty()) refuse("cannot listen on " + where + ": " + error.message());
  const Tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol());
  acceptor.set_option(net::socket_base::reuse_address(true));
  acceptor.bind(endpoint, error);
  if (error) refuse("cannot listen on " + where + ": " + error.message());
  acceptor.listen(1024, error);
  if (error) refuse("cannot listen on " + where + ": " + error.message());
}

void NetworkServer::Impl::accept() {
  acceptor.async_accept([this](boost::system::error_code error, Tcp::socket socket) {
    if (error == net::error::operation_aborted) return;
    if (error) {  // no descriptors: some will be free soon
      pause.expires_after(kTick);
      pause.async_wait([this](boost::system::error_code stopped) {
        if (!stopped) accept();
      });
      return;
    }
    boost::system::error_code ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    socket.set_option(net::socket_base::keep_alive(true), ignored);
    const bool full = context->n_connections >= context->options.max_connections;
    const auto connection =
        std::make_shared<HttpConnection>(Transport(std::move(socket), tls ? &*tls : nullptr), context);
    if (full) {
      connection->refuse(context->handler.on_protocol_error(503, "this server has too many connections"));
    } else {
      connection->start();
    }
    accept();
  });
}

void NetworkServer::Impl::tick() {
  ticks.expires_after(kTick);
  ticks.async_wait([this](boost::system::error_code error) {
    if (error) return;
    context->handler.on_tick();
    const auto sockets = context->sockets;  // a tick may end one
    for (const std::shared_ptr<OpenSocket>& socket : sockets) socket->tick();
    tick();
  });
}

NetworkServer::NetworkServer(const NetworkOptions& options, Handler& handler)
    : impl_(std::make_unique<Impl>(options, handler)) {
  impl_->listen();
}

NetworkServer::~NetworkServer() = default;

int NetworkServer::port() const { return impl_->acceptor.local_endpoint().port(); }

void NetworkServer::run() {
  impl_->accept();
  impl_->tick();
  for (;;) {
    try {
      impl_->io.run();
      return;
    } catch (const std::exception&) {
      // Out of memory in one handler: its connection is gone, the others go on.
    }
  }
}

void NetworkServer::stop() {
  net::post(impl_->io, [impl = impl_.get()] {
    const auto sockets = impl->context->sockets;
    for (const std::shared_ptr<OpenSocket>& socket : sockets) socket->abort();
    impl->io.stop();
  });
}

void NetworkServer::post(std::function<void()> task) { net::post(impl_->io, std::move(task)); }

void NetworkServer::on_signals(std::initializer_list<int> signals, std::function<void(int)> callback) {
  auto set = std::make_unique<net::signal_set>(impl_->io);
  for (const int signal : signals) set->add(signal);
  net::signal_set* raw = set.get();
  impl_->signals.push_back(std::move(set));
  const auto wait = std::make_shared<std::function<void()>>();
  *wait = [raw, callback = std::move(callback), again = std::weak_ptr(wait)] {
    raw->async_wait([callback, keep = again.lock()](boost::system::error_code error, int signal) {
      if (error) return;
      callback(signal);
      (*keep)();
    });
  };
  (*wait)();
}

int NetworkServer::n_connections() const { return impl_->context->n_connections; }

}  // namespace qasr::server
