// See json_reader.h.
#include "weights/json_reader.h"

#include <set>
#include <utility>
#include <vector>

#include "qasr/error.h"

namespace qasr {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxShownValue = 40;  // characters of a found value in a message

[[noreturn]] void fail_file(const std::string& where, const std::string& found) {
  throw Error(ErrorCode::kModel, "cannot read " + where + ": " + found);
}

// nlohmann's messages start with "[json.exception.parse_error.101] ", which tells users nothing.
std::string without_tag(const std::string& message) {
  const std::size_t end = message.find("] ");
  return message.starts_with('[') && end != std::string::npos ? message.substr(end + 2) : message;
}

std::string range_text(std::int64_t low, std::int64_t high) {
  return "an integer from " + std::to_string(low) + " to " + std::to_string(high);
}

}  // namespace

json parse_json(std::string_view text, const std::string& where) {
  if (text.empty()) fail_file(where, "the file is empty, expected JSON");
  std::vector<std::set<std::string>> open_objects;  // the keys seen so far in each
  const auto inspect = [&](int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth >= kMaxDepth) {
      fail_file(where, "JSON nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    if (event == Event::object_start) open_objects.emplace_back();
    if (event == Event::object_end) open_objects.pop_back();
    if (event == Event::key && !open_objects.back().insert(parsed.get<std::string>()).second) {
      fail_file(where, "key " + describe_json(parsed) + " appears twice in one object");
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), inspect);
  } catch (const json::exception& error) {
    fail_file(where, "broken JSON: " + without_tag(error.what()));
  }
}

std::string describe_json(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (value.is_null()) return "null";
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxShownValue) {
    std::size_t end = kMaxShownValue;
    while ((text[end] & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
    text = text.substr(0, end) + "...";
  }
  return std::string("the ") + value.type_name() + " " + text;
}

JsonObject::JsonObject(const json& value, std::string where, std::string path)
    : value_(&value), where_(std::move(where)), path_(std::move(path)) {
  if (!value.is_object()) {
    throw Error(ErrorCode::kModel, (path_.empty() ? "the top level" : path_) + " is " + describe_json(value) +
                                       ", expected an object, in " + where_);
  }
}

void JsonObject::fail(const char* key, const std::string& found, const std::string& expected) const {
  throw Error(ErrorCode::kModel,
              (path_.empty() ? "" : path_ + ".") + key + " is " + found + ", expected " + expected + ", in " + where_);
}

const json* JsonObject::find(const char* key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

JsonObject::Found JsonObject::require(Keys keys, const std::string& expected) const {
  for (const char* key : keys) {
    if (const json* value = find(key)) return {key, value};
  }
  fail(*keys.begin(), "missing", expected);
}

JsonObject JsonObject::object(const char* key) const {
  const Found found = require({key}, "an object");
  return {*found.value, where_, (path_.empty() ? "" : path_ + ".") + key};
}

std::optional<JsonObject> JsonObject::find_object(const char* key) const {
  if (!has(key)) return std::nullopt;
  return object(key);
}

std::int64_t JsonObject::integer(Keys keys, std::int64_t low, std::int64_t high) const {
  const auto [key, value] = require(keys, range_text(low, high));
  // An unsigned number beyond int64 would wrap in get<int64_t>.
  const bool representable =
      value->is_number_unsigned() ? value->get<std::uint64_t>() <= INT64_MAX : value->is_number_integer();
  if (!representable || value->get<std::int64_t>() < low || value->get<std::int64_t>() > high) {
    fail(key, describe_json(*value), range_text(low, high));
  }
  return value->get<std::int64_t>();
}

double JsonObject::number(Keys keys, double low, double high) const {
  const std::string expected = "a number between " + json(low).dump() + " and " + json(high).dump();
  const auto [key, value] = require(keys, expected);
  if (!value->is_number()) fail(key, describe_json(*value), expected);
  const double result = value->get<double>();
  if (!(result > low && result < high)) fail(key, describe_json(*value), expected);
  return result;
}

bool JsonObject::boolean_or(const char* key, bool fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail(key, describe_json(*value), "true or false");
  return value->get<bool>();
}

std::string JsonObject::string_or(const char* key, const std::string& fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) fail(key, describe_json(*value), "a string");
  return value->get<std::string>();
}

}  // namespace qasr
