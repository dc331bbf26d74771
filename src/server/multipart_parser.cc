#include "server/multipart_parser.h"

#include <algorithm>

#include "server/api_error.h"
#include "server/http_types.h"

namespace qasr::server {
namespace {

constexpr std::size_t kMaxBoundaryBytes = 70;  // RFC 2046
constexpr std::string_view kSpace = " \t";

[[noreturn]] void bad_form(const std::string& message) { throw ApiError(400, "multipart/form-data: " + message); }

std::string_view trim(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// The next "; name=value" or "; name="quoted value"" of a header; advances `rest`. False at the end.
bool next_parameter(std::string_view& rest, std::string_view& name, std::string& value) {
  const std::size_t begin = rest.find_first_not_of("; \t");
  if (begin == std::string_view::npos) return false;
  rest.remove_prefix(begin);
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos) return false;
  name = trim(rest.substr(0, equals));
  rest.remove_prefix(equals + 1);
  value.clear();
  if (!rest.starts_with('"')) {
    value = trim(rest.substr(0, rest.find(';')));
    rest.remove_prefix(std::min(rest.find(';'), rest.size()));
    return true;
  }
  std::size_t at = 1;
  for (; at < rest.size() && rest[at] != '"'; ++at) {
    if (rest[at] == '\\' && at + 1 < rest.size()) ++at;
    value += rest[at];
  }
  if (at >= rest.size()) return false;
  rest.remove_prefix(at + 1);
  return true;
}

// RFC 5987: UTF-8'language'percent-encoded
std::string extended_value(const std::string& value) {
  const std::size_t quote = value.rfind('\'');
  const std::string text = quote == std::string::npos ? value : value.substr(quote + 1);
  return percent_decode(text).value_or(text);
}

void read_disposition(std::string_view value, PartHead& head, bool& has_name) {
  const std::string_view kind = trim(value.substr(0, value.find(';')));
  if (!equal_ignoring_case(kind, "form-data"))
    bad_form("found a part that is '" + std::string(kind) + "', expected form-data");
  std::string_view rest = value.substr(std::min(kind.size(), value.size())), name;
  std::string parameter;
  while (next_parameter(rest, name, parameter)) {
    if (equal_ignoring_case(name, "name")) {
      head.name = parameter;
      has_name = true;
    } else if (equal_ignoring_case(name, "filename")) {
      head.filename = parameter;
    } else if (equal_ignoring_case(name, "filename*") && !head.filename) {
      head.filename = extended_value(parameter);
    }
  }
}

}  // namespace

std::optional<std::string> MultipartParser::boundary_of(std::string_view content_type) {
  const std::string_view kind = trim(content_type.substr(0, content_type.find(';')));
  if (!equal_ignoring_case(kind, "multipart/form-data")) return std::nullopt;
  std::string_view rest = content_type.substr(std::min(content_type.find(';'), content_type.size())), name;
  std::string value;
  while (next_parameter(rest, name, value)) {
    if (!equal_ignoring_case(name, "boundary")) continue;
    const bool printable = std::all_of(value.begin(), value.end(), [](unsigned char c) { return c >= 32 && c < 127; });
    if (value.empty() || value.size() > kMaxBoundaryBytes || !printable) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

PartHead parse_part_head(std::string_view lines) {
  PartHead head;
  bool has_name = false;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(lines.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) bad_form("the head of a part has a line without a colon");
    const std::string_view name = trim(line.substr(0, colon)), value = trim(line.substr(colon + 1));
    if (equal_ignoring_case(name, "Content-Disposition")) read_disposition(value, head, has_name);
    if (equal_ignoring_case(name, "Content-Type")) head.content_type = value;
    if (equal_ignoring_case(name, "Content-Transfer-Encoding") && !equal_ignoring_case(value, "binary") &&
        !equal_ignoring_case(value, "8bit") && !equal_ignoring_case(value, "7bit")) {
      bad_form("found Content-Transfer-Encoding " + std::string(value) + ", expected binary");
    }
  }
  if (!has_name) bad_form("a part has no Content-Disposition: form-data with a name");
  return head;
}

MultipartParser::MultipartParser(const std::string& boundary, PartReceiver& receiver)
    : delimiter_("\r\n--" + boundary), receiver_(receiver) {}

void MultipartParser::feed(std::string_view data) {
  if (state_ == State::kEpilogue) return;
  buffer_ += data;
  while (step()) {
  }
}

void MultipartParser::finish() const {
  if (state_ != State::kEpilogue) bad_form("the body ends before the closing delimiter");
}

bool MultipartParser::step() {
  switch (state_) {
    case State::kPreamble:
      return skip_to_delimiter();
    case State::kAfterDelimiter:
      return read_after_delimiter();
    case State::kHead:
      return read_head();
    case State::kData:
      return read_data();
    case State::kEpilogue:
      break;
  }
  buffer_.clear();
  return false;
}

bool MultipartParser::skip_to_delimiter() {
  const std::size_t found = buffer_.find(delimiter_);
  if (found == std::string::npos) {
    if (buffer_.size() > delimiter_.size()) buffer_.erase(0, buffer_.size() - delimiter_.size());
    return false;
  }
  buffer_.erase(0, found + delimiter_.size());
  state_ = State::kAfterDelimiter;
  return true;
}

bool MultipartParser::read_after_delimiter() {
  if (buffer_.starts_with("--")) {
    state_ = State::kEpilogue;
    return true;
  }
  const std::size_t begin = buffer_.find_first_not_of(kSpace);
  if (begin == std::string::npos || buffer_.size() < begin + 2) {
    if (buffer_.size() > kMaxHeadBytes) bad_form("a delimiter is followed by too much white space");
    return false;
  }
  if (buffer_.compare(begin, 2, "\r\n") != 0) bad_form("a delimiter is followed by other characters than a line break");
  buffer_.erase(0, begin);  // the line break stays: a head may be empty
  state_ = State::kHead;
  return true;
}

bool MultipartParser::read_head() {
  const std::size_t end = buffer_.find("\r\n\r\n");
  if (std::min(end, buffer_.size()) > kMaxHeadBytes) bad_form("the head of a part exceeds 8 KiB");
  if (end == std::string::npos) return false;
  if (++n_parts_ > kMaxParts) bad_form("found more than 256 parts");
  receiver_.on_part(parse_part_head(std::string_view(buffer_).substr(2, std::max<std::size_t>(end, 2) - 2)));
  buffer_.erase(0, end + 4);
  state_ = State::kData;
  return true;
}

bool MultipartParser::read_data() {
  const std::size_t found = buffer_.find(delimiter_);
  if (found != std::string::npos) {
    if (found > 0) receiver_.on_part_data(std::string_view(buffer_).substr(0, found));
    receiver_.on_part_end();
    buffer_.erase(0, found + delimiter_.size());
    state_ = State::kAfterDelimiter;
    return true;
  }
  if (buffer_.size() < delimiter_.size()) return false;
  const std::size_t n_sure = buffer_.size() - delimiter_.size() + 1;
  receiver_.on_part_data(std::string_view(buffer_).substr(0, n_sure));
  buffer_.erase(0, n_sure);
  return false;
}

}  // namespace qasr::server
