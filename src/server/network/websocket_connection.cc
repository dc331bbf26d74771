#include "server/network/websocket_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <utility>

namespace qasr::server {
namespace {

namespace websocket = beast::websocket;

constexpr std::size_t kMaxQueuedMessageBytes = 4 << 20;
constexpr std::size_t kKeptBufferBytes = 16 << 10;  // of the receive buffer, between messages

class WebSocketConnection final : public OpenSocket, public std::enable_shared_from_this<WebSocketConnection> {
 public:
  WebSocketConnection(Transport&& transport, SocketDecision decision, std::shared_ptr<NetworkContext> context)
      : stream_(std::move(transport)), decision_(std::move(decision)), context_(std::move(context)) {
    ++context_->n_connections;
  }
  ~WebSocketConnection() override { --context_->n_connections; }

  void accept(const beast::http::request_header<>& request);
  void tick() override;
  void abort() override { over(); }
  void send(std::string message);
  void close(int code, std::string reason);
  void run(const std::function<void()>& task) {
    if (open_) task();
  }
  Transport::executor_type executor() { return stream_.get_executor(); }

 private:
  void read();
  void on_message(beast::error_code error);
  void write_next();
  void close_now();
  void over();

  websocket::stream<Transport, false> stream_;
  SocketDecision decision_;
  std::shared_ptr<NetworkContext> context_;
  beast::http::request<beast::http::empty_body> request_;
  beast::flat_buffer buffer_;
  std::deque<std::string> outbox_;
  std::size_t n_queued_bytes_ = 0;
  std::optional<websocket::close_reason> closing_;
  bool open_ = false, writing_ = false, paused_ = false;
};

/// The handler's way back, from any thread.
class SocketLink final : public Socket {
 public:
  explicit SocketLink(const std::shared_ptr<WebSocketConnection>& connection)
      : connection_(connection), executor_(connection->executor()) {}
  void send(std::string message) override {
    net::post(executor_, [connection = connection_, message = std::move(message)]() mutable {
      if (const auto open = connection.lock()) open->send(std::move(message));
    });
  }
  void close(int code, std::string reason) override {
    net::post(executor_, [connection = connection_, code, reason = std::move(reason)]() mutable {
      if (const auto open = connection.lock()) open->close(code, std::move(reason));
    });
  }
  void post(std::function<void()> task) override {
    net::post(executor_, [connection = connection_, task = std::move(task)] {
      if (const auto open = connection.lock()) open->run(task);
    });
  }

 private:
  std::weak_ptr<WebSocketConnection> connection_;
  Transport::executor_type executor_;
};

void WebSocketConnection::accept(const beast::http::request_header<>& request) {
  static_cast<beast::http::request_header<>&>(request_) = request;
  // Silence is the handler's affair: while it takes no more, pings could not be answered.
  stream_.set_option(websocket::stream_base::timeout{std::chrono::seconds(15), websocket::stream_base::none(), false});
  stream_.set_option(
      websocket::stream_base::decorator([subprotocol = decision_.subprotocol](websocket::response_type& response) {
        response.set(beast::http::field::server, "qasr");
        if (!subprotocol.empty()) response.set(beast::http::field::sec_websocket_protocol, subprotocol);
      }));
  stream_.read_message_max(decision_.max_message_bytes);
  stream_.text(true);
  context_->sockets.insert(shared_from_this());
  stream_.async_accept(request_, [self = shared_from_this()](beast::error_code error) {
    self->request_ = {};
    if (error) return self->over();
    self->open_ = true;
    self->decision_.handler->on_open(std::make_shared<SocketLink>(self));
    self->read();
  });
}

void WebSocketConnection::read() {
  stream_.async_read(buffer_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_message(error); });
}

void WebSocketConnection::on_message(beast::error_code error) {
  if (error || !open_) return over();
  if (!closing_) {
    const auto data = buffer_.data();
    decision_.handler->on_message({static_cast<const char*>(data.data()), data.size()}, stream_.got_text());
  }
  if (buffer_.capacity() > kKeptBufferBytes) {
    buffer_ = beast::flat_buffer();
  } else {
    buffer_.consume(buffer_.size());
  }
  paused_ = open_ && !closing_ && !decision_.handler->wants_more();
  if (!paused_) read();
}

void WebSocketConnection::tick() {
  if (!open_) return;
  decision_.handler->on_tick();
  if (!open_ || !paused_ || !(closing_ || decision_.handler->wants_more())) return;
  paused_ = false;
  read();
}

void WebSocketConnection::send(std::string message) {
  if (!open_ || closing_) return;
  if (n_queued_bytes_ + message.size() > kMaxQueuedMessageBytes) {
    stream_.next_layer().close();  // it does not read what it asked for
    return;
  }
  n_queued_bytes_ += message.size();
  outbox_.push_back(std::move(message));
  if (!writing_) write_next();
}

void WebSocketConnection::write_next() {
  writing_ = true;
  stream_.async_write(net::buffer(outbox_.front()), [self = shared_from_this()](beast::error_code error, std::size_t) {
    self->writing_ = false;
    if (error) return self->stream_.next_layer().close();
    self->n_queued_bytes_ -= self->outbox_.front().size();
    self->outbox_.pop_front();
    if (!self->outbox_.empty()) return self->write_next();
    if (self->closing_) self->close_now();
  });
}

void WebSocketConnection::close(int code, std::string reason) {
  if (!open_ || closing_) return;
  closing_.emplace(static_cast<websocket::close_code>(code), reason.substr(0, 120));
  if (!writing_) close_now();
}

void WebSocketConnection::close_now() {
  stream_.async_close(*closing_, [self = shared_from_this()](beast::error_code) { self->over(); });
}

void WebSocketConnection::over() {
  context_->sockets.erase(shared_from_this());
  stream_.next_layer().close();
  if (!open_) return;
  open_ = false;
  decision_.handler->on_closed();
}

}  // namespace

void open_websocket(Transport&& transport, const beast::http::request_header<>& request, SocketDecision decision,
                    std::shared_ptr<NetworkContext> context) {
  std::make_shared<WebSocketConnection>(std::move(transport), std::move(decision), std::move(context))->accept(request);
}

}  // namespace qasr::server
