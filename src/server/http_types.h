// Requests and responses as the routes see them: plain values, no network library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qasr::server {

inline constexpr int kClientGone = 499;  ///< in the log: the client left before its response

struct Header {
  std::string name, value;
};

/// What comes before the body.
struct RequestHead {
  std::string method;  ///< "GET", in capitals
  std::string path;    ///< of the target, percent-decoded: "/v1/models"
  std::string query;   ///< behind the question mark, as sent
  std::vector<Header> headers;
  std::string remote;                           ///< address of the client
  std::optional<std::uint64_t> content_length;  ///< unknown for chunked bodies
  bool has_body = false;
  bool is_upgrade = false;  ///< asks for a WebSocket

  /// The first header of that name, ignoring case; "" if there is none.
  std::string_view header(std::string_view name) const noexcept;
  /// Value of a parameter of the query, decoded; nothing if it is not there.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";  ///< "": none
  std::string body{};
  std::vector<Header> headers{};
  bool close = false;  ///< the connection ends behind it
};

/// "OK", "Not Found", ...
std::string_view reason_phrase(int status) noexcept;
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;
/// %41 -> A; + stays. Nothing if a percent sign is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text);
/// The head of a response as it is sent. `n_bytes`: Content-Length; nothing: a chunked body.
std::string response_head(const Response& response, std::optional<std::size_t> n_bytes, bool keep_alive);

}  // namespace qasr::server
