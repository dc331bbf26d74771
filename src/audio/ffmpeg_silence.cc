#include "audio/ffmpeg_silence.h"

extern "C" {
#include <libavutil/log.h>
}

#include <mutex>

namespace qasr {
namespace {

// Process-wide because FFmpeg's level is.
std::mutex mutex;
int n_alive = 0;
int previous_level = 0;

}  // namespace

FfmpegSilence::FfmpegSilence() {
  const std::lock_guard lock(mutex);
  if (n_alive++ > 0) return;
  previous_level = av_log_get_level();
  av_log_set_level(AV_LOG_QUIET);
}

FfmpegSilence::~FfmpegSilence() {
  const std::lock_guard lock(mutex);
  if (--n_alive == 0 && av_log_get_level() == AV_LOG_QUIET) av_log_set_level(previous_level);
}

}  // namespace qasr
