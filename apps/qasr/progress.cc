#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "output.h"

namespace qasr::app {
namespace {

constexpr double kUpdateEveryS = 0.2;
constexpr std::size_t kDefaultColumns = 80;

std::size_t terminal_columns() {
  winsize size = {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : kDefaultColumns;
}

// Names are bytes of a stranger: nothing of them may control the terminal.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

}  // namespace

std::string format_text(const char* pattern, ...) {
  char text[256];
  va_list values;
  va_start(values, pattern);
  std::vsnprintf(text, sizeof text, pattern, values);
  va_end(values);
  return text;
}

std::string duration_text(double seconds) {
  const long long s = std::llround(std::max(seconds, 0.0));
  return s >= 3600 ? format_text("%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60)
                   : format_text("%lld:%02lld", s / 60, s % 60);
}

Progress::Progress(Mode mode, const std::vector<InputFile>& inputs)
    : mode_(mode), inputs_(inputs), start_(std::chrono::steady_clock::now()) {
  double sum = 0;
  for (const InputFile& input : inputs) {
    std::error_code error;
    const auto n_bytes = std::filesystem::file_size(input.path, error);
    weights_.push_back(error ? 1.0 : 1.0 + static_cast<double>(n_bytes));
    sum += weights_.back();
  }
  for (double& weight : weights_) weight /= sum;
}

double Progress::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Progress::fraction(const std::vector<Running>& running) const {
  double sum = finished_weight_;
  for (const Running& one : running) {
    if (one.expected_s > 0) sum += weights_[one.input] * std::min(1.0, one.done_s / one.expected_s);
  }
  return sum;
}

void Progress::update(const std::vector<Running>& running) {
  if (mode_ != Mode::kTerminal || running.empty()) return;
  const auto now = std::chrono::steady_clock::now();
  if (line_shown_ && std::chrono::duration<double>(now - last_update_).count() < kUpdateEveryS) return;
  last_update_ = now;
  double audio_s = audio_s_;
  for (const Running& one : running) audio_s += one.done_s;
  const double share = fraction(running), elapsed = elapsed_s();
  std::string line = format_text("[%zu/%zu] %3.0f %%", n_finished_ + 1, inputs_.size(), 100 * share);
  if (elapsed > 0) line += format_text("  %.1fx real time", audio_s / elapsed);
  if (share > 0.005) line += "  " + duration_text(elapsed * (1 - share) / share) + " left";
  line += "  " + printable(inputs_[running.front().input].path);
  const std::size_t columns = terminal_columns() - 1;
  if (line.size() > columns) line.resize(columns);
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  line_shown_ = true;
}

void Progress::clear() {
  if (line_shown_) std::fputs("\r\x1b[K", stderr);
  line_shown_ = false;
}

void Progress::finish(std::size_t input, double audio_s, const std::string& what) {
  ++n_finished_;
  finished_weight_ += weights_[input];
  audio_s_ += audio_s;
  clear();
  if (mode_ == Mode::kOff) return;
  print_error(format_text("[%zu/%zu] ", n_finished_, inputs_.size()) + printable(inputs_[input].path) + ": " + what);
}

}  // namespace qasr::app
