#include "server/network/http_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <limits>
#include <utility>

#include "server/network/http_exchange.h"
#include "server/network/websocket_connection.h"

namespace qasr::server {
namespace {

namespace http = beast::http;

constexpr std::uint32_t kMaxHeadBytes = 16 << 10;
constexpr std::size_t kChunkBytes = 64 << 10;
constexpr std::size_t kMaxQueuedResponseBytes = 8 << 20;
constexpr auto kWatchInterval = std::chrono::milliseconds(100);
constexpr auto kHandshakeTimeout = std::chrono::seconds(10);
constexpr auto kLingerTimeout = std::chrono::seconds(2);
constexpr std::size_t kMaxLingerBytes = 4 << 20;

std::chrono::milliseconds duration(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// Whether the other side has closed, also while bytes of it are still unread.
bool peer_closed(int descriptor) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
  return info.tcpi_state != TCP_ESTABLISHED;
}

std::string chunk(const std::string& data) {
  static constexpr const char* kDigits = "0123456789abcdef";
  std::string size;
  for (std::size_t rest = data.size(); rest > 0; rest /= 16) size.insert(size.begin(), kDigits[rest % 16]);
  return size + "\r\n" + data + "\r\n";
}

}  // namespace

HttpConnection::HttpConnection(Transport&& transport, std::shared_ptr<NetworkContext> context)
    : transport_(std::move(transport)),
      context_(std::move(context)),
      buffer_(2 * kMaxHeadBytes),
      watch_timer_(transport_->get_executor()) {
  ++context_->n_connections;
}

HttpConnection::~HttpConnection() {
  if (exchange_) exchange_->client_gone();
  --context_->n_connections;
}

void HttpConnection::start() {
  if (transport_->tls() == nullptr) return read_head();
  transport_->tcp().expires_after(kHandshakeTimeout);
  transport_->tls()->async_handshake(net::ssl::stream_base::server,
                                     [self = shared_from_this()](beast::error_code error) {
                                       if (!error) self->read_head();
                                     });
}

void HttpConnection::refuse(Response response) {
  if (transport_->tls() != nullptr) return;
  send(response_head(response, response.body.size(), false) + response.body);
  answer_complete_ = true;
}

void HttpConnection::read_head() {
  parser_.emplace();
  parser_->header_limit(kMaxHeadBytes);
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // counted in on_body()
  exchange_.reset();
  sink_.reset();
  n_body_bytes_ = 0;
  answered_ = answer_complete_ = chunked_ = is_head_request_ = false;
  transport_->tcp().expires_after(duration(context_->options.idle_timeout_s));
  http::async_read_header(*transport_, buffer_, *parser_,
                          [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_head(error); });
}

RequestHead HttpConnection::take_head() {
  const auto& message = parser_->get();
  RequestHead head;
  head.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const std::size_t question = std::min(target.find('?'), target.size());
  // What cannot be decoded stays as it is, and is no route.
  head.path = percent_decode(target.substr(0, question)).value_or(std::string(target.substr(0, question)));
  head.query = target.substr(std::min(target.size(), question + 1));
  for (const auto& field : message) {
    head.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  beast::error_code error;
  const auto remote = transport_->tcp().socket().remote_endpoint(error);
  if (!error) head.remote = remote.address().to_string();
  if (const auto length = parser_->content_length()) head.content_length = *length;
  head.has_body = parser_->chunked() || head.content_length.value_or(0) > 0;
  head.is_upgrade = beast::websocket::is_upgrade(message);
  return head;
}

void HttpConnection::on_head(beast::error_code error) {
  if (error == http::error::header_limit) return protocol_error(431, "the head of the request exceeds 16 KiB");
  if (error == beast::error::timeout || error == http::error::end_of_stream) return gone();
  if (error && error.category() == http::make_error_code(http::error::bad_value).category() &&
      error != http::error::partial_message) {
    return protocol_error(400, "the request is no well-formed HTTP/1.1: " + error.message());
  }
  if (error) return gone();
  const RequestHead head = take_head();
  keep_alive_ = parser_->get().keep_alive();
  is_head_request_ = head.method == "HEAD";
  if (head.is_upgrade) return open_socket(head);

  exchange_ = std::make_shared<HttpExchange>(shared_from_this());
  sink_ = context_->handler.on_request(head, exchange_);
  reading_body_ = head.has_body && sink_ != nullptr;
  if (head.has_body && sink_ == nullptr) keep_alive_ = false;  // the body is not read
  if (!reading_body_) {
    if (sink_) sink_->on_end();
    return wait_for_answer();
  }
  chunk_.resize(kChunkBytes);
  body_deadline_ = std::chrono::steady_clock::now() + duration(context_->options.body_deadline_s);
  if (equal_ignoring_case(head.header("Expect"), "100-continue")) return send_continue();
  read_body();
}

void HttpConnection::send_continue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  transport_->tcp().expires_after(duration(context_->options.write_timeout_s));
  net::async_write(
      *transport_, net::buffer(kContinue.data(), kContinue.size()),
      [self = shared_from_this()](beast::error_code error, std::size_t) { error ? self->gone() : self->read_body(); });
}

void HttpConnection::read_body() {
  parser_->get().body().data = chunk_.data();
  parser_->get().body().size = chunk_.size();
  // The stream's own timeout would close the socket, and the answer 408 could not be sent.
  transport_->tcp().expires_never();
  watch_timer_.expires_after(duration(context_->options.body_timeout_s));
  watch_timer_.async_wait([self = shared_from_this()](beast::error_code stopped) {
    if (stopped || !self->reading_body_ || !self->transport_) return;
    self->too_slow_ = true;
    self->transport_->tcp().cancel();
  });
  http::async_read_some(*transport_, buffer_, *parser_,
                        [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_body(error); });
}

void HttpConnection::on_body(beast::error_code error) {
  const bool too_late = std::chrono::steady_clock::now() > body_deadline_;
  if (too_slow_ || too_late) return protocol_error(408, "the body of the request came too slowly");
  if (error == http::error::need_buffer) error = {};
  if (error && error.category() == http::make_error_code(http::error::bad_value).category() &&
      error != http::error::partial_message && error != http::error::end_of_stream) {
    return protocol_error(400, "the body of the request is not well-formed: " + error.message());
  }
  if (error) return gone();
  const std::size_t n_bytes = chunk_.size() - parser_->get().body().size;
  n_body_bytes_ += n_bytes;
  if (n_body_bytes_ > context_->options.max_body_bytes) {
    return protocol_error(413, "the body of the request is larger than this server accepts");
  }
  if (n_bytes > 0 && !sink_->on_data({chunk_.data(), n_bytes})) {
    keep_alive_ = false;
    reading_body_ = false;
    return wait_for_answer();
  }
  if (!parser_->is_done()) return read_body();
  reading_body_ = false;
  chunk_ = {};
  sink_->on_end();
  wait_for_answer();
}

void HttpConnection::wait_for_answer() {
  transport_->tcp().expires_never();
  watch();
}

// While an answer is computed nothing is read: pipelined requests stay in the kernel's buffer.
void HttpConnection::watch() {
  watch_timer_.expires_after(kWatchInterval);
  watch_timer_.async_wait([self = shared_from_this()](beast::error_code error) {
    if (error || self->answer_complete_ || !self->transport_) return;
    if (peer_closed(self->transport_->tcp().socket().native_handle())) return self->gone();
    self->watch();
  });
}

void HttpConnection::open_socket(const RequestHead& head) {
  SocketDecision decision = context_->handler.on_socket(head);
  if (decision.handler == nullptr) {
    exchange_ = std::make_shared<HttpExchange>(shared_from_this());
    return respond(exchange_.get(), std::move(decision.refusal));
  }
  transport_->tcp().expires_never();
  open_websocket(std::move(*transport_), parser_->release().base(), std::move(decision), context_);
  transport_.reset();
}

void HttpConnection::protocol_error(int status, const std::string& message) {
  keep_alive_ = false;
  reading_body_ = false;
  if (exchange_) {
    exchange_->client_gone();
  } else {
    exchange_ = std::make_shared<HttpExchange>(shared_from_this());
  }
  respond(exchange_.get(), context_->handler.on_protocol_error(status, message));
}

void HttpConnection::respond(const HttpExchange* exchange, Response response) {
  if (exchange != exchange_.get() || answered_ || !transport_) return;
  answered_ = answer_complete_ = true;
  if (response.close || reading_body_) keep_alive_ = false;
  std::string data = response_head(response, response.body.size(), keep_alive_);
  if (!is_head_request_) data += response.body;
  send(std::move(data));
}

void HttpConnection::begin(const HttpExchange* exchange, Response head) {
  if (exchange != exchange_.get() || answered_ || !transport_) return;
  answered_ = true;
  chunked_ = parser_->get().version() >= 11;
  if (!chunked_) {
    keep_alive_ = false;
    head.headers.push_back({"Cache-Control", "no-cache"});
    std::string data = response_head(head, std::nullopt, false);
    const std::string field = "Transfer-Encoding: chunked\r\n";
    send(data.erase(data.find(field), field.size()));
  } else {
    send(response_head(head, std::nullopt, keep_alive_));
  }
}

void HttpConnection::write(const HttpExchange* exchange, std::string piece) {
  if (exchange != exchange_.get() || !answered_ || answer_complete_ || !transport_ || piece.empty()) return;
  if (n_queued_bytes_ + piece.size() > kMaxQueuedResponseBytes) return gone();
  send(chunked_ ? chunk(piece) : std::move(piece));
}

void HttpConnection::end(const HttpExchange* exchange) {
  if (exchange != exchange_.get() || !answered_ || answer_complete_ || !transport_) return;
  answer_complete_ = true;
  if (chunked_) return send("0\r\n\r\n");
  if (!sending_) finish_answer();
}

void HttpConnection::send(std::string data) {
  n_queued_bytes_ += data.size();
  outbox_.push_back(std::move(data));
  if (!sending_) send_next();
}

void HttpConnection::send_next() {
  sending_ = true;
  transport_->tcp().expires_after(duration(context_->options.write_timeout_s));
  net::async_write(*transport_, net::buffer(outbox_.front()),
                   [self = shared_from_this()](beast::error_code error, std::size_t) {
                     if (error || !self->transport_) return self->gone();
                     self->sending_ = false;
                     self->n_queued_bytes_ -= self->outbox_.front().size();
                     self->outbox_.pop_front();
                     if (!self->outbox_.empty()) return self->send_next();
                     self->transport_->tcp().expires_never();
                     if (self->answer_complete_) self->finish_answer();
                   });
}

void HttpConnection::finish_answer() {
  watch_timer_.cancel();
  if (exchange_) exchange_->finished();
  if (keep_alive_) return read_head();
  // A close with unread bytes would make the kernel take the answer back.
  beast::error_code ignored;
  transport_->tcp().socket().shutdown(net::ip::tcp::socket::shutdown_send, ignored);
  transport_->tcp().expires_after(kLingerTimeout);
  chunk_.resize(kChunkBytes);
  n_body_bytes_ = 0;
  linger();
}

void HttpConnection::linger() {
  transport_->tcp().async_read_some(net::buffer(chunk_),
                                    [self = shared_from_this()](beast::error_code error, std::size_t n_bytes) {
                                      self->n_body_bytes_ += n_bytes;
                                      if (!error && self->n_body_bytes_ < kMaxLingerBytes) self->linger();
                                    });
}

void HttpConnection::gone() {
  watch_timer_.cancel();
  answer_complete_ = true;
  if (exchange_) exchange_->client_gone();
  if (transport_) transport_->close();
}

}  // namespace qasr::server
