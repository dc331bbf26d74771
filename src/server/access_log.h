// Access log: one JSON object a line for every answer.
#pragma once

#include <string>

#include "base/mutex.h"

namespace qasr::server {

struct AccessEntry {
  std::string remote, method, path, request_id;
  std::string key;  ///< name of the API key; "" without one
  int status = 0;   ///< 499: the client went away first; 101: a WebSocket was opened
  double ms = 0;
  // Of transcriptions:
  std::string model;
  double audio_s = 0;
  std::string error;  ///< code or message of the API
};

class AccessLog {
 public:
  /// @param path  "": nothing is written; "-": standard error
  /// @throws Error kInvalidArgument  the file cannot be opened for appending
  explicit AccessLog(const std::string& path);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Any thread.
  void write(const AccessEntry& entry);
  /// Opens the file anew, after somebody has moved it away.
  void reopen();

 private:
  const std::string path_;
  Mutex mutex_;
  int descriptor_ QASR_GUARDED_BY(mutex_) = -1;
};

}  // namespace qasr::server
