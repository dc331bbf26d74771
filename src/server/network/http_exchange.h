// HttpExchange: carries answers from any thread to the connection's thread, and the client's end the other way.
#pragma once

#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "server/network/http_connection.h"

namespace qasr::server {

class HttpExchange final : public Exchange, public std::enable_shared_from_this<HttpExchange> {
 public:
  explicit HttpExchange(const std::shared_ptr<HttpConnection>& connection)
      : connection_(connection), executor_(connection->executor()) {}

  void respond(Response response) override {
    post([response = std::move(response)](HttpConnection& connection, const HttpExchange* self) mutable {
      connection.respond(self, std::move(response));
    });
  }
  void begin(Response head) override {
    post([head = std::move(head)](HttpConnection& connection, const HttpExchange* self) mutable {
      connection.begin(self, std::move(head));
    });
  }
  void write(std::string piece) override {
    post([piece = std::move(piece)](HttpConnection& connection, const HttpExchange* self) mutable {
      connection.write(self, std::move(piece));
    });
  }
  void end() override {
    post([](HttpConnection& connection, const HttpExchange* self) { connection.end(self); });
  }

  void on_disconnect(std::function<void()> callback) override QASR_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (over_) return;
      if (!gone_) {
        callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }

  /// The client has gone. The network's thread.
  void client_gone() QASR_EXCLUDES(mutex_) {
    std::function<void()> callback;
    {
      const MutexLock lock(mutex_);
      if (over_) return;
      gone_ = true;
      callback = std::exchange(callback_, nullptr);
    }
    if (callback) callback();
  }
  /// The answer is complete.
  void finished() QASR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    over_ = true;
    callback_ = nullptr;
  }

 private:
  template <typename Task>
  void post(Task task) {
    net::post(executor_, [self = shared_from_this(), task = std::move(task)]() mutable {
      if (const std::shared_ptr<HttpConnection> connection = self->connection_.lock()) task(*connection, self.get());
    });
  }

  std::weak_ptr<HttpConnection> connection_;
  Transport::executor_type executor_;
  Mutex mutex_;
  std::function<void()> callback_ QASR_GUARDED_BY(mutex_);
  bool gone_ QASR_GUARDED_BY(mutex_) = false, over_ QASR_GUARDED_BY(mutex_) = false;
};

}  // namespace qasr::server
