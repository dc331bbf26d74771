// Encoded bytes -> decoded PCM frames of one audio stream, through libavformat and libavcodec.
// Second stage of decoding; the bytes come from strangers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audio/byte_source.h"
#include "audio/ffmpeg_handles.h"

namespace qasr {

/// Opens nothing but the source it is given: known containers only (no playlists, no devices, no raw formats, no
/// images), no protocols, audio decoders only.
class AudioReader {
 public:
  /// @param source  outlives the reader
  /// @param name    of the recording, for messages
  /// @throws Error kInput  empty, unknown format, no audio stream, no decoder, no channels
  AudioReader(const ByteSource& source, std::string name);

  /// The next frame (channels, rate and format may change from frame to frame), valid until the next call; null at the
  /// end. Damaged packets are skipped.
  /// @throws Error kInput  a frame's rate is outside [kMinRate, kMaxRate]
  const AVFrame* next();

  static constexpr int kMinRate = 1000;    // below, a few bytes would become minutes
  static constexpr int kMaxRate = 768000;  // twice the fastest converters

  int n_damaged_packets() const noexcept { return n_damaged_packets_; }
  double first_damage_s() const noexcept { return first_damage_s_; }
  /// Why reading ended before the end of the file; empty if it did not.
  const std::string& stop_reason() const noexcept { return stop_reason_; }
  /// Length of the frames returned so far.
  double decoded_s() const noexcept { return decoded_s_; }
  /// Length the container's header promises; 0 if it does not say.
  double declared_s() const noexcept { return declared_s_; }

 private:
  struct Io {
    const ByteSource* source = nullptr;
    std::uint64_t offset = 0;
  };
  static int read_bytes(void* io, std::uint8_t* out, int n_bytes);
  static std::int64_t seek_bytes(void* io, std::int64_t offset, int whence);

  const AVInputFormat* probe_format();
  void open_container();
  std::vector<double> declared_durations() const;
  const AVCodec* choose_stream();
  void open_decoder(const AVCodec* codec);
  void feed_decoder();
  void note_damage();

  std::string name_;
  Io io_;
  FfmpegPtr<AVIOContext> avio_;  // outlives format_
  FfmpegPtr<AVFormatContext> format_;
  FfmpegPtr<AVCodecContext> decoder_;
  FfmpegPtr<AVPacket> packet_;
  FfmpegPtr<AVFrame> frame_;
  int stream_ = -1;
  bool draining_ = false;
  int n_damaged_packets_ = 0;
  double first_damage_s_ = 0;
  double decoded_s_ = 0;
  double declared_s_ = 0;
  std::string stop_reason_;
};

}  // namespace qasr
