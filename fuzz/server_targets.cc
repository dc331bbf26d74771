// What clients of the server send.
#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qasr/error.h"
#include "server/api_error.h"
#include "server/api_keys.h"
#include "server/form.h"
#include "server/realtime/realtime_session.h"
#include "server/transcription_params.h"
#include "targets.h"

namespace qasr::fuzz {
namespace {

using namespace qasr::server;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes everything and answers every flush at once.
class EchoStream final : public LiveStream {
 public:
  explicit EchoStream(StreamOptions options) : options_(std::move(options)) {}
  std::size_t try_push(std::span<const float> samples) override {
    options_.on_event({.kind = StreamEvent::Kind::kCommitted, .text = "x"});
    return samples.size();
  }
  void flush() override { options_.on_event({.kind = StreamEvent::Kind::kFlushed}); }
  void reset() override {}
  void close() override {}
  void cancel() override {}
  StreamProgress progress() const override { return {}; }

 private:
  StreamOptions options_;
};

/// Keeps tasks until the message is handled, as the network's thread does.
class QueueSocket final : public Socket {
 public:
  void send(std::string) override {}
  void close(int, std::string) override {}
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void run() {
    for (const auto& task : std::exchange(tasks_, {})) task();
  }

 private:
  std::vector<std::function<void()>> tasks_;
};

}  // namespace

void multipart(std::span<const std::byte> bytes) {
  std::string_view rest = text_of(bytes);
  const std::size_t step = rest.empty() ? 1 : 1 + static_cast<unsigned char>(rest.back()) % 64;
  try {
    FormReader reader({.max_file_bytes = 4096, .max_fields_bytes = 4096});
    MultipartParser parser("b", reader);
    for (; !rest.empty(); rest.remove_prefix(std::min(step, rest.size()))) parser.feed(rest.substr(0, step));
    parser.finish();
    parse_transcription_params(reader.take().fields);
  } catch (const ApiError&) {
  } catch (const Error&) {
  }
}

void parameters(std::span<const std::byte> bytes) {
  std::string_view rest = text_of(bytes);
  const auto next_line = [&] {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    return line;
  };
  RequestHead head{.method = "POST"};
  const std::string_view target = next_line();
  const std::size_t question = std::min(target.find('?'), target.size());
  head.path = percent_decode(target.substr(0, question)).value_or("");
  head.query = target.substr(std::min(target.size(), question + 1));
  for (const char* name : {"Content-Type", "Authorization", "Sec-WebSocket-Protocol"}) {
    head.headers.push_back({name, std::string(next_line())});
  }
  head.parameter("model");
  bearer_token(head.header("authorization"));
  parse_subprotocols(head.header("sec-websocket-protocol"));
  if (const auto boundary = MultipartParser::boundary_of(head.header("content-type"))) {
    if (boundary->empty() || boundary->size() > 70) throw std::logic_error("a boundary that RFC 2046 does not allow");
  }
  std::vector<FormField> fields;
  while (!rest.empty()) {
    const std::string_view line = next_line();
    const std::size_t equals = std::min(line.find('='), line.size());
    fields.push_back(
        {std::string(line.substr(0, equals)), std::string(line.substr(std::min(line.size(), equals + 1)))});
  }
  std::string head_text;
  try {
    parse_transcription_params(fields);
  } catch (const ApiError& error) {  // what the client is told, with whatever it sent in it
    Response response = error_response(error);
    response.headers.push_back({"x-echo", error.param()});
    head_text = response_head(response, response.body.size(), true);
  }
  // No part of what was sent ends a header: every line is one that the server wrote.
  const std::size_t end = head_text.find("\r\n\r\n");
  if (end != std::string::npos && end + 4 != head_text.size()) throw std::logic_error("a header was split");
}

void realtime(std::span<const std::byte> bytes) {
  static const auto metrics = std::make_shared<Metrics>();
  RealtimeContext context;
  context.find_engine = [](const std::string&) { return nullptr; };
  context.open_stream = [](std::shared_ptr<const Engine>, StreamOptions options) {
    return std::make_unique<EchoStream>(std::move(options));
  };
  context.metrics = metrics;
  const auto socket = std::make_shared<QueueSocket>();
  const auto session = std::make_shared<RealtimeSession>(std::move(context), "m");
  session->on_open(socket);
  for (std::string_view rest = text_of(bytes); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    session->on_message(line, true);
    socket->run();
    session->on_tick();
  }
  session->on_closed();
}

}  // namespace qasr::fuzz
