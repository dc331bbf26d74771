// JSON files of a checkpoint, read defensively: bounded depth, no duplicate keys, and typed access whose errors name
// the file, the key path, what was found and what was expected.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace qasr {

/// @param where  names the text in messages: "DIR/config.json"
/// @throws Error kModel  not JSON (with line and column), deeper than 64 levels, a key twice in one object
nlohmann::json parse_json(std::string_view text, const std::string& where);

/// "the string \"896\"", "an array", "null": type and start of a value, for messages.
std::string describe_json(const nlohmann::json& value);

/// One object of a JSON file. Borrows the document. Where several keys are given, they are names of one thing in
/// different layouts: the first that is present (and not null) counts, and the first is named if all are missing.
class JsonObject {
 public:
  using Keys = std::initializer_list<const char*>;

  /// @throws Error kModel  not an object
  JsonObject(const nlohmann::json& value, std::string where, std::string path = {});

  bool has(const char* key) const { return find(key) != nullptr; }
  /// Null counts as absent.
  const nlohmann::json* find(const char* key) const;

  JsonObject object(const char* key) const;
  std::optional<JsonObject> find_object(const char* key) const;
  std::int64_t integer(Keys keys, std::int64_t low, std::int64_t high) const;
  /// A finite number in (low, high).
  double number(Keys keys, double low, double high) const;
  bool boolean_or(const char* key, bool fallback) const;
  std::string string_or(const char* key, const std::string& fallback) const;

  /// @throws Error kModel  "PATH.KEY is FOUND, expected EXPECTED, in WHERE"
  [[noreturn]] void fail(const char* key, const std::string& found, const std::string& expected) const;

 private:
  struct Found {
    const char* key;
    const nlohmann::json* value;
  };
  Found require(Keys keys, const std::string& expected) const;

  const nlohmann::json* value_;
  std::string where_;
  std::string path_;  // "thinker_config.audio_config", empty at the root
};

}  // namespace qasr
