#include "server/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "qasr/error.h"

namespace qasr::server {
namespace {

std::string utc_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char text[32], all[40];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(all, sizeof(all), "%s.%03dZ", text, static_cast<int>(ms % 1000));
  return all;
}

double round_to_ms(double value) { return std::round(value * 1000) / 1000; }

int open_log(const std::string& path) {
  if (path.empty()) return -1;
  if (path == "-") return ::dup(STDERR_FILENO);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor >= 0) return descriptor;
  throw Error(ErrorCode::kInvalidArgument, "access log: cannot open " + path + ": " + std::strerror(errno));
}

}  // namespace

AccessLog::AccessLog(const std::string& path) : path_(path), descriptor_(open_log(path)) {}

AccessLog::~AccessLog() {
  const MutexLock lock(mutex_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AccessLog::reopen() {
  const MutexLock lock(mutex_);
  if (descriptor_ < 0) return;
  const int descriptor = open_log(path_);
  ::close(descriptor_);
  descriptor_ = descriptor;
}

void AccessLog::write(const AccessEntry& entry) {
  using nlohmann::ordered_json;
  ordered_json json = {
      {"time", utc_now()},      {"remote", entry.remote},      {"method", entry.method},        {"path", entry.path},
      {"status", entry.status}, {"ms", round_to_ms(entry.ms)}, {"request_id", entry.request_id}};
  if (!entry.key.empty()) json["key"] = entry.key;
  if (!entry.model.empty()) json["model"] = entry.model;
  if (entry.audio_s > 0) json["audio_s"] = round_to_ms(entry.audio_s);
  if (!entry.error.empty()) json["error"] = entry.error;
  const std::string line = json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  const MutexLock lock(mutex_);
  if (descriptor_ < 0) return;
  // One write keeps lines whole; a log that cannot be written stops nobody's request.
  [[maybe_unused]] const ssize_t n_written = ::write(descriptor_, line.data(), line.size());
}

}  // namespace qasr::server
