// HttpConnection: the HTTP/1.1 requests of one connection, one after the other, or its turn into a WebSocket.
//
//   handshake -> read head -> (read body) -> wait for the answer, watching for the client's end -> write -> read head
//
// Everything runs on the network's thread; the connection keeps itself alive through its pending operations.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/network/network_server.h"
#include "server/network/transport.h"

namespace qasr::server {

/// What connections need from the server, and report to it.
struct NetworkContext {
  NetworkOptions options;
  Handler& handler;
  std::atomic<int> n_connections{0};
  std::set<std::shared_ptr<class OpenSocket>> sockets;  ///< WebSockets, for ticks and the end
};

/// A WebSocket as the server's ticks see it.
class OpenSocket {
 public:
  virtual ~OpenSocket() = default;
  virtual void tick() = 0;
  /// The server ends.
  virtual void abort() = 0;
};

class HttpExchange;

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(Transport&& transport, std::shared_ptr<NetworkContext> context);
  ~HttpConnection();

  void start();
  /// One answer for a client that is one too many.
  void refuse(Response response);

  // For HttpExchange, on the network's thread; `exchange` must be the current one.
  void respond(const HttpExchange* exchange, Response response);
  void begin(const HttpExchange* exchange, Response head);
  void write(const HttpExchange* exchange, std::string piece);
  void end(const HttpExchange* exchange);
  Transport::executor_type executor() { return transport_->get_executor(); }

 private:
  using Parser = beast::http::request_parser<beast::http::buffer_body>;

  void read_head();
  void on_head(beast::error_code error);
  RequestHead take_head();
  void open_socket(const RequestHead& head);
  void send_continue();
  void read_body();
  void on_body(beast::error_code error);
  void wait_for_answer();
  void watch();
  void protocol_error(int status, const std::string& message);
  void send(std::string data);
  void send_next();
  void finish_answer();
  void linger();
  void gone();

  std::optional<Transport> transport_;
  std::shared_ptr<NetworkContext> context_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::vector<char> chunk_;  // of the body, while there is one
  std::uint64_t n_body_bytes_ = 0;
  std::chrono::steady_clock::time_point body_deadline_{};
  std::unique_ptr<BodySink> sink_;
  std::shared_ptr<HttpExchange> exchange_;
  net::steady_timer watch_timer_;

  std::deque<std::string> outbox_;
  std::size_t n_queued_bytes_ = 0;
  bool sending_ = false, answered_ = false, answer_complete_ = false, reading_body_ = false, keep_alive_ = false;
  bool is_head_request_ = false, chunked_ = false, too_slow_ = false;
};

}  // namespace qasr::server
