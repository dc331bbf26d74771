// What stands between the network (network/) and the routes (app.h): one request and its answer, one WebSocket, and
// who handles them. The routes compile and are tested without a network library.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http_types.h"

namespace qasr::server {

/// The answer to one request. Any thread; the first answer counts, later ones are dropped, and so is everything once
/// the client has gone.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// The whole answer.
  virtual void respond(Response response) = 0;
  /// An answer in pieces: head, then write() any number of times, then end(). Pieces are queued, never waited for; a
  /// client that leaves more than some MiB unread is disconnected.
  virtual void begin(Response head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  /// Calls `callback` once, on the network's thread, if the client goes away before the answer is complete; at once
  /// if it has gone already. The callback is dropped when the answer is complete.
  virtual void on_disconnect(std::function<void()> callback) = 0;
};

/// Takes a body as it arrives. The network's thread.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// @return false to stop: an answer has been given, the rest is of no use
  virtual bool on_data(std::string_view data) = 0;
  virtual void on_end() = 0;
};

/// The server's end of a WebSocket. Any thread.
class Socket {
 public:
  virtual ~Socket() = default;
  /// A text message; queued. A client that leaves too much unread is disconnected.
  virtual void send(std::string message) = 0;
  virtual void close(int code, std::string reason) = 0;
  /// Runs `task` on the network's thread, unless the socket has closed by then.
  virtual void post(std::function<void()> task) = 0;
};

/// What a WebSocket's messages go to. The network's thread.
class SocketHandler {
 public:
  virtual ~SocketHandler() = default;
  virtual void on_open(std::shared_ptr<Socket> socket) = 0;
  virtual void on_message(std::string_view message, bool is_text) = 0;
  /// false: nothing more is read from the client until a tick finds true.
  virtual bool wants_more() const = 0;
  /// Called about every 100 ms while the socket is open.
  virtual void on_tick() = 0;
  /// Called once, last.
  virtual void on_closed() = 0;
};

/// Whether a WebSocket may be opened: a handler, or the answer that refuses it.
struct SocketDecision {
  std::shared_ptr<SocketHandler> handler;  ///< null: refused
  std::string subprotocol;                 ///< to select; "": none
  std::size_t max_message_bytes = 0;
  Response refusal;
};

/// The routes.
class Handler {
 public:
  virtual ~Handler() = default;
  /// @return where the body goes; null if it is of no use, then an answer has been or will be given
  virtual std::unique_ptr<BodySink> on_request(const RequestHead& head, std::shared_ptr<Exchange> exchange) = 0;
  virtual SocketDecision on_socket(const RequestHead& head) = 0;
  /// What the network answers by itself (bad syntax, too slow, too large) as a body in the API's form.
  virtual Response on_protocol_error(int status, const std::string& message) = 0;
  /// Called about every 100 ms.
  virtual void on_tick() = 0;
};

}  // namespace qasr::server
