#include "server/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

#include "qasr/error.h"
#include "server/http_types.h"

namespace qasr::server {
namespace {

constexpr int kKeyBytes = 24;
constexpr int kConcurrentRetryS = 2;
constexpr std::string_view kHashPrefix = "sha256:";

std::string hex(const unsigned char* bytes, std::size_t n_bytes) {
  static constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t n = 0; n < n_bytes; ++n) {
    text += kDigits[bytes[n] >> 4];
    text += kDigits[bytes[n] & 15];
  }
  return text;
}

[[noreturn]] void bad_line(int number, const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, "API keys: line " + std::to_string(number) + ": " + message);
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0;
}

ApiKey parse_line(const std::string& line, int number) {
  std::istringstream words(line);
  ApiKey key;
  std::string hash, word;
  words >> key.name >> hash;
  const std::string digits = hash.starts_with(kHashPrefix) ? hash.substr(kHashPrefix.size()) : "";
  if (digits.size() != 2 * key.hash.size()) {
    bad_line(number, "expected NAME sha256: and 64 hexadecimal digits; qasr serve --new-key NAME makes such a line");
  }
  for (std::size_t n = 0; n < key.hash.size(); ++n) {
    const char* begin = digits.data() + 2 * n;
    if (std::from_chars(begin, begin + 2, key.hash[n], 16).ptr != begin + 2) {
      bad_line(number, "found '" + digits.substr(2 * n, 2) + "' in the hash, expected hexadecimal digits");
    }
  }
  while (words >> word) {
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string option = word.substr(0, equals);
    const std::string_view value = std::string_view(word).substr(std::min(word.size(), equals + 1));
    const bool valid = option == "concurrent"        ? parse_number(value, key.max_concurrent)
                       : option == "audio_s_per_min" ? parse_number(value, key.audio_s_per_min)
                                                     : false;
    if (!valid) bad_line(number, "found '" + word + "', expected concurrent=N or audio_s_per_min=N with N above 0");
  }
  return key;
}

}  // namespace

std::array<unsigned char, 32> sha256(std::string_view text) {
  std::array<unsigned char, 32> hash{};
  unsigned int n_bytes = 0;
  if (EVP_Digest(text.data(), text.size(), hash.data(), &n_bytes, EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorCode::kInternal, "SHA-256 is not available");
  }
  return hash;
}

std::string make_key() {
  unsigned char bytes[kKeyBytes];
  if (RAND_bytes(bytes, kKeyBytes) != 1) throw Error(ErrorCode::kInternal, "no random bytes");
  return "qasr-" + hex(bytes, kKeyBytes);
}

std::string key_line(const std::string& name, const std::string& key) {
  const auto hash = sha256(key);
  return name + " " + std::string(kHashPrefix) + hex(hash.data(), hash.size());
}

std::vector<ApiKey> parse_api_keys(std::string_view text) {
  std::vector<ApiKey> keys;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ApiKey key = parse_line(line, number);
    for (const ApiKey& other : keys) {
      if (other.name == key.name) bad_line(number, "the name " + key.name + " is there twice");
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

std::vector<ApiKey> read_api_keys(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) throw Error(ErrorCode::kInvalidArgument, "API keys: cannot read " + path);
  std::vector<ApiKey> keys = parse_api_keys(text);
  if (keys.empty()) throw Error(ErrorCode::kInvalidArgument, "API keys: " + path + " has none");
  return keys;
}

const ApiKey* find_key(const std::vector<ApiKey>& keys, std::string_view key) {
  const auto hash = sha256(key);
  const ApiKey* found = nullptr;
  for (const ApiKey& candidate : keys) {
    if (CRYPTO_memcmp(candidate.hash.data(), hash.data(), hash.size()) == 0) found = &candidate;
  }
  return found;
}

std::string_view bearer_token(std::string_view authorization) {
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos || !equal_ignoring_case(authorization.substr(0, space), "Bearer")) return {};
  const std::size_t begin = authorization.find_first_not_of(' ', space);
  return begin == std::string_view::npos ? std::string_view() : authorization.substr(begin);
}

Quotas::Use& Quotas::refill(const ApiKey& key, double now_s) {
  Use& use = uses_[key.name];
  if (!use.known) use.balance_s = key.audio_s_per_min;
  use.known = true;
  use.balance_s = std::min(key.audio_s_per_min, use.balance_s + (now_s - use.updated_s) * key.audio_s_per_min / 60);
  use.updated_s = now_s;
  return use;
}

bool Quotas::acquire(const ApiKey& key, double now_s, int& retry_after_s) {
  const MutexLock lock(mutex_);
  Use& use = refill(key, now_s);
  if (key.max_concurrent > 0 && use.n_running >= key.max_concurrent) {
    retry_after_s = kConcurrentRetryS;
    return false;
  }
  if (key.audio_s_per_min > 0 && use.balance_s <= 0) {
    retry_after_s = static_cast<int>(std::ceil(-use.balance_s / key.audio_s_per_min * 60)) + 1;
    return false;
  }
  ++use.n_running;
  return true;
}

bool Quotas::has_balance(const ApiKey& key, double now_s) {
  const MutexLock lock(mutex_);
  return key.audio_s_per_min <= 0 || refill(key, now_s).balance_s > 0;
}

void Quotas::release(const std::string& name) {
  const MutexLock lock(mutex_);
  --uses_[name].n_running;
}

void Quotas::charge(const ApiKey& key, double audio_s, double now_s) {
  const MutexLock lock(mutex_);
  if (key.audio_s_per_min > 0) refill(key, now_s).balance_s -= audio_s;
}

}  // namespace qasr::server
