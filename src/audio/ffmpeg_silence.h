// Keeps FFmpeg from writing to stderr while a recording is decoded.
#pragma once

namespace qasr {

/// While at least one of these lives, FFmpeg's log level is "quiet"; the last one to go puts the old level back, unless
/// somebody else has changed it meanwhile.
///
/// The level is the smallest thing that works: FFmpeg logs demuxer messages per process only, and its log callback
/// cannot be queried, so replacing it could not be undone. A host that installed its own callback keeps receiving
/// everything (the callback ignores the level); a host that relies on FFmpeg's default output misses messages of other
/// threads while a file is decoded here.
class FfmpegSilence {
 public:
  FfmpegSilence();
  ~FfmpegSilence();
  FfmpegSilence(const FfmpegSilence&) = delete;
  FfmpegSilence& operator=(const FfmpegSilence&) = delete;
};

}  // namespace qasr
