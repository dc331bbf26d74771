// FFmpeg objects that free themselves, and its error codes as text. Included by the decoding files only.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/error.h>
#include <libswresample/swresample.h>
}

#include <memory>
#include <new>
#include <string>

namespace qasr {

struct FfmpegDeleter {
  void operator()(AVFormatContext* context) const noexcept { avformat_close_input(&context); }
  void operator()(AVCodecContext* context) const noexcept { avcodec_free_context(&context); }
  void operator()(AVPacket* packet) const noexcept { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const noexcept { av_frame_free(&frame); }
  void operator()(SwrContext* context) const noexcept { swr_free(&context); }
  void operator()(AVIOContext* context) const noexcept {
    av_freep(&context->buffer);  // libavformat may have replaced the one it was given
    avio_context_free(&context);
  }
};

template <typename T>
using FfmpegPtr = std::unique_ptr<T, FfmpegDeleter>;

/// FFmpeg's constructors return null only when memory runs out.
template <typename T>
FfmpegPtr<T> own(T* object) {
  if (object == nullptr) throw std::bad_alloc();
  return FfmpegPtr<T>(object);
}

inline std::string ffmpeg_error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return text;
}

}  // namespace qasr
