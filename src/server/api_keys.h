// API keys: who may use the server, and how much. Only SHA-256 hashes of keys are kept.
//
// The file has a key a line: NAME sha256:HEX [concurrent=N] [audio_s_per_min=N]; # begins a comment.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace qasr::server {

struct ApiKey {
  std::string name;
  std::array<unsigned char, 32> hash{};
  int max_concurrent = 0;      ///< requests at a time; 0: any number
  double audio_s_per_min = 0;  ///< seconds of audio per minute; 0: any amount
};

std::array<unsigned char, 32> sha256(std::string_view text);
/// A new random key with 192 bits: "qasr-...".
std::string make_key();
/// The line of a key for the file.
std::string key_line(const std::string& name, const std::string& key);

/// @throws Error kInvalidArgument  names the line: found, expected
std::vector<ApiKey> parse_api_keys(std::string_view text);
/// @throws Error kInvalidArgument  the file cannot be read; or as parse_api_keys
std::vector<ApiKey> read_api_keys(const std::string& path);

/// The key that hashes to an entry; null if none does. Compares with all of them in constant time.
const ApiKey* find_key(const std::vector<ApiKey>& keys, std::string_view key);

/// "Bearer KEY" -> KEY; "" otherwise.
std::string_view bearer_token(std::string_view authorization);

/// What keys have used. Names identify them, so a reload of the file changes limits but forgets nothing.
class Quotas {
 public:
  /// Takes a place for a request. Every acquire that returns true needs a release.
  /// @return false: the limit is reached, `retry_after_s` says when to come again
  bool acquire(const ApiKey& key, double now_s, int& retry_after_s) QASR_EXCLUDES(mutex_);
  void release(const std::string& name) QASR_EXCLUDES(mutex_);
  bool has_balance(const ApiKey& key, double now_s) QASR_EXCLUDES(mutex_);
  /// Counts audio that is transcribed.
  void charge(const ApiKey& key, double audio_s, double now_s) QASR_EXCLUDES(mutex_);

 private:
  struct Use {
    int n_running = 0;
    double balance_s = 0, updated_s = 0;
    bool known = false;
  };
  Use& refill(const ApiKey& key, double now_s) QASR_REQUIRES(mutex_);
  Mutex mutex_;
  std::map<std::string, Use> uses_ QASR_GUARDED_BY(mutex_);
};

}  // namespace qasr::server
