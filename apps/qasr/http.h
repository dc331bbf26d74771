// One HTTP request at a time over libcurl: redirects, TLS, proxies from the environment; failures as values, because
// whoever downloads decides what to try again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace qasr::app {

struct HttpRequest {
  std::string url;
  std::string token;            ///< sent as bearer token to the url's host only, never to where it redirects
  std::uint64_t from_byte = 0;  ///< > 0: asks for the rest of a file
  int stall_timeout_s = 30;     ///< without a byte this long, the request has failed
};

struct HttpResult {
  long status = 0;      ///< of the last response; 0: there was none
  std::string failure;  ///< why there is no complete response; "" if there is one
  bool is_lasting = false;  ///< a failure that another try will not change: redirects in a circle or to a file
  int retry_after_s = -1;   ///< what the server asks for, at most an hour; -1: nothing
  /// 206 and from where: the body is the rest that was asked for.
  bool is_rest = false;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// @param on_begin  called once before the body of a response of status 200 or 206, with what is known by then
  /// @param on_bytes  the body of such a response; false ends the request
  HttpResult get(const HttpRequest& request, const std::function<void(const HttpResult&)>& on_begin,
                 const std::function<bool(std::span<const std::byte>)>& on_bytes);

 private:
  void* handle_;
};

}  // namespace qasr::app
