// Transport: a TCP stream, with TLS or without, as one type, so that HTTP and WebSocket are compiled once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <memory>
#include <utility>

namespace qasr::server {

namespace net = boost::asio;
namespace beast = boost::beast;

class Transport {
 public:
  using executor_type = beast::tcp_stream::executor_type;
  using Tls = net::ssl::stream<beast::tcp_stream&>;

  /// @param tls  null: no TLS
  Transport(net::ip::tcp::socket&& socket, net::ssl::context* tls)
      : tcp_(std::make_unique<beast::tcp_stream>(std::move(socket))) {
    if (tls != nullptr) tls_ = std::make_unique<Tls>(*tcp_, *tls);
  }
  Transport(Transport&&) = default;
  Transport& operator=(Transport&&) = delete;

  executor_type get_executor() noexcept { return tcp_->get_executor(); }
  beast::tcp_stream& tcp() { return *tcp_; }
  Tls* tls() { return tls_.get(); }
  void close() { tcp_->close(); }

  template <typename Buffers, typename Callback>
  void async_read_some(const Buffers& buffers, Callback&& callback) {
    if (tls_) {
      tls_->async_read_some(buffers, std::forward<Callback>(callback));
    } else {
      tcp_->async_read_some(buffers, std::forward<Callback>(callback));
    }
  }
  template <typename Buffers, typename Callback>
  void async_write_some(const Buffers& buffers, Callback&& callback) {
    if (tls_) {
      tls_->async_write_some(buffers, std::forward<Callback>(callback));
    } else {
      tcp_->async_write_some(buffers, std::forward<Callback>(callback));
    }
  }

 private:
  std::unique_ptr<beast::tcp_stream> tcp_;
  std::unique_ptr<Tls> tls_;
};

// What Beast looks for when a WebSocket ends. The closing handshake is over then; TCP's end suffices.
template <typename Callback>
void async_teardown(beast::role_type role, Transport& transport, Callback&& callback) {
  beast::websocket::async_teardown(role, transport.tcp().socket(), std::forward<Callback>(callback));
}
inline void teardown(beast::role_type role, Transport& transport, beast::error_code& error) {
  beast::websocket::teardown(role, transport.tcp().socket(), error);
}
inline void beast_close_socket(Transport& transport) { transport.close(); }

}  // namespace qasr::server
