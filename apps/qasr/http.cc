#include "http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string_view>

#include "qasr/error.h"
#include "qasr/version.h"

namespace qasr::app {
namespace {

struct Transfer {
  CURL* handle;
  const HttpRequest& request;
  const std::function<void(const HttpResult&)>& on_begin;
  const std::function<bool(std::span<const std::byte>)>& on_bytes;
  HttpResult result;
  std::uint64_t range_begin = 0;
  bool begun = false, refused = false;
};

// "name: value" -> value if the name is this, ignoring case; else nothing.
std::string header_value(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return {};
  const bool same = std::equal(name.begin(), name.end(), line.begin(),
                               [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
  if (!same) return {};
  std::string_view value = line.substr(name.size() + 1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())) != 0) value.remove_prefix(1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) value.remove_suffix(1);
  return std::string(value);
}

// Retry-After: seconds, or the date to wait for.
int seconds_to_wait(const std::string& value) {
  constexpr long kLongest = 3600;
  const bool is_number = value.find_first_not_of("0123456789") == std::string::npos;
  const std::time_t date = is_number ? 0 : curl_getdate(value.c_str(), nullptr);
  if (date < 0) return -1;
  const long wait_s =
      is_number ? std::strtol(value.c_str(), nullptr, 10) : static_cast<long>(date - std::time(nullptr));
  return static_cast<int>(std::clamp(wait_s, 0L, kLongest));
}

bool is_lasting(CURLcode code) {
  return code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
         code == CURLE_PEER_FAILED_VERIFICATION;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {  // of the next response in a chain of redirects
    transfer.result.retry_after_s = -1;
    transfer.range_begin = 0;
  }
  if (const std::string wanted = header_value(line, "retry-after"); !wanted.empty()) {
    transfer.result.retry_after_s = seconds_to_wait(wanted);
  }
  if (const std::string range = header_value(line, "content-range"); range.starts_with("bytes ")) {
    transfer.range_begin = std::strtoull(range.c_str() + 6, nullptr, 10);
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t n_bytes = size * count;
  if (!transfer.begun) {
    transfer.begun = true;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &transfer.result.status);
    transfer.result.is_rest = transfer.result.status == 206 && transfer.range_begin == transfer.request.from_byte;
    if (transfer.result.status == 200 || transfer.result.status == 206) transfer.on_begin(transfer.result);
  }
  if (transfer.result.status != 200 && transfer.result.status != 206) return n_bytes;  // an error's explanation
  if (transfer.on_bytes(std::as_bytes(std::span(data, n_bytes)))) return n_bytes;
  transfer.refused = true;
  return 0;
}

}  // namespace

HttpClient::HttpClient() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  handle_ = curl_easy_init();
  if (handle_ == nullptr) throw Error(ErrorCode::kInternal, "libcurl does not start");
}

HttpClient::~HttpClient() { curl_easy_cleanup(static_cast<CURL*>(handle_)); }

HttpResult HttpClient::get(const HttpRequest& request, const std::function<void(const HttpResult&)>& on_begin,
                           const std::function<bool(std::span<const std::byte>)>& on_bytes) {
  CURL* curl = static_cast<CURL*>(handle_);
  curl_easy_reset(curl);
  Transfer transfer{.handle = curl, .request = request, .on_begin = on_begin, .on_bytes = on_bytes, .result = {}};
  char reason[CURL_ERROR_SIZE] = "";
  curl_slist* headers = nullptr;
  if (!request.token.empty()) headers = curl_slist_append(headers, ("Authorization: Bearer " + request.token).c_str());
  const std::string range = std::to_string(request.from_byte) + "-";
  const std::string agent = std::string("qasr/") + version();
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, agent.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, request.url.starts_with("https:") ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.stall_timeout_s));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout_s));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  if (request.from_byte > 0) curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &transfer.result.status);
  if (code != CURLE_OK && !transfer.refused)
    transfer.result.failure = reason[0] != '\0' ? reason : curl_easy_strerror(code);
  if (transfer.refused) transfer.result.failure = "ended here";
  transfer.result.is_lasting = is_lasting(code);
  if (code == CURLE_OK && !transfer.begun && transfer.result.status == 200) on_begin(transfer.result);  // an empty file
  return transfer.result;
}

}  // namespace qasr::app
