// Probing, opening and reading with libavformat, decoding with libavcodec, on our own byte source.
#include "audio/audio_reader.h"

extern "C" {
#include <libavutil/avstring.h>
#include <libavutil/mem.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "audio/input_error.h"

namespace qasr {
namespace {

constexpr int kIoBufferBytes = 1 << 16;
constexpr int kMaxStreams = 200;   // a film with all its languages, subtitles and fonts has fewer
constexpr int kMaxRetries = 1000;  // of demuxers that ask to be called again
// Programs that write WAV into a pipe cannot know its length and declare about 2 or 4 GiB.
constexpr std::uint64_t kPipedWavBytes = 0x7fff0000;

constexpr char kExpectedFormats[] = "WAV, FLAC, MP3, Ogg, Opus, M4A/MP4, WebM or another audio or video file";

// Containers that recordings come in. Left out on purpose: playlists and manifests (they open other files), raw PCM and
// text "formats" (they accept anything), devices, images, subtitles, game music.
constexpr char kDemuxers[] =
    "wav,w64,aiff,au,caf,flac,ogg,mp3,aac,loas,mov,matroska,webm,asf,avi,flv,mpegts,mpeg,ac3,eac3,dts,truehd,mlp,ape,"
    "wv,"
    "tta,tak,mpc,mpc8,amr,voc,rm,oma,nut,mxf,nistsphere,ircam,shn";

// Stops libavformat from opening any other file or address, whatever the container asks for.
int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

// Names of all audio decoders, so that probing a video file never runs a video decoder.
std::string audio_decoder_names() {
  std::string names;
  void* state = nullptr;
  while (const AVCodec* codec = av_codec_iterate(&state)) {
    if (codec->type != AVMEDIA_TYPE_AUDIO || !av_codec_is_decoder(codec)) continue;
    if (!names.empty()) names += ',';
    names += codec->name;
  }
  return names;
}

char* duplicate(const std::string& text) {
  char* copy = av_strdup(text.c_str());
  if (copy == nullptr) throw std::bad_alloc();
  return copy;
}

bool is_text(std::byte b) {
  const auto c = std::to_integer<unsigned char>(b);
  return c >= 32 || c == '\n' || c == '\r' || c == '\t';
}

// What the beginning of a file that is no known format looks like.
std::string describe_beginning(const ByteSource& source) {
  std::array<std::byte, 256> bytes;
  const std::ptrdiff_t n = std::max<std::ptrdiff_t>(source.read_at(0, bytes), 0);
  return std::all_of(bytes.begin(), bytes.begin() + n, is_text) ? "text" : "data of no known audio format";
}

// Length of a WAV file as its header gives it, 0 if it does not: libavformat forgets it when the file is shorter.
std::uint64_t declared_riff_bytes(const ByteSource& source) {
  std::array<std::byte, 8> header{};  // "RIFF", then the number of bytes that follow (little-endian)
  if (source.read_at(0, header) < 8 || std::memcmp(header.data(), "RIFF", 4) != 0) return 0;
  std::uint64_t n_bytes = 0;
  for (int i = 7; i >= 4; --i) n_bytes = n_bytes << 8 | std::to_integer<std::uint64_t>(header[i]);
  return n_bytes < kPipedWavBytes ? n_bytes + 8 : 0;
}

double seconds(std::int64_t duration, AVRational time_base) {
  return duration == AV_NOPTS_VALUE || duration <= 0 ? 0.0 : static_cast<double>(duration) * av_q2d(time_base);
}

}  // namespace

int AudioReader::read_bytes(void* io, std::uint8_t* out, int n_bytes) {
  auto& self = *static_cast<Io*>(io);
  const std::ptrdiff_t n =
      self.source->read_at(self.offset, {reinterpret_cast<std::byte*>(out), static_cast<std::size_t>(n_bytes)});
  if (n == 0) return AVERROR_EOF;
  if (n < 0) return AVERROR(static_cast<int>(-n));
  self.offset += static_cast<std::uint64_t>(n);
  return static_cast<int>(n);
}

std::int64_t AudioReader::seek_bytes(void* io, std::int64_t offset, int whence) {
  auto& self = *static_cast<Io*>(io);
  const auto size = static_cast<std::int64_t>(self.source->size());
  if (whence & AVSEEK_SIZE) return size;
  std::int64_t base = 0;
  switch (whence & ~AVSEEK_FORCE) {
    case SEEK_SET:
      break;
    case SEEK_CUR:
      base = static_cast<std::int64_t>(self.offset);
      break;
    case SEEK_END:
      base = size;
      break;
    default:
      return AVERROR(EINVAL);
  }
  std::int64_t target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0) return AVERROR(EINVAL);
  self.offset = static_cast<std::uint64_t>(target);
  return target;
}

AudioReader::AudioReader(const ByteSource& source, std::string name) : name_(std::move(name)), io_{&source, 0} {
  if (source.size() == 0) throw_input_error(name_, "an empty file", kExpectedFormats);
  packet_ = own(av_packet_alloc());
  frame_ = own(av_frame_alloc());

  auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
  if (buffer == nullptr) throw std::bad_alloc();
  AVIOContext* avio = avio_alloc_context(buffer, kIoBufferBytes, 0, &io_, &read_bytes, nullptr,
                                         source.is_live() ? nullptr : &seek_bytes);
  if (avio == nullptr) av_free(buffer);
  avio_ = own(avio);

  open_container();
}

const AVInputFormat* AudioReader::probe_format() {
  const AVInputFormat* format = nullptr;
  // An empty file name: only the content decides, never the extension.
  const int result = av_probe_input_buffer2(avio_.get(), &format, "", nullptr, 0, 0);
  if (result < 0 || format == nullptr) throw_input_error(name_, describe_beginning(*io_.source), kExpectedFormats);
  if (av_match_list(format->name, kDemuxers, ',') <= 0) {
    throw_input_error(name_, std::string("the format ") + format->name + " (" + format->long_name + ")",
                      kExpectedFormats);
  }
  return format;
}

void AudioReader::open_container() {
  const AVInputFormat* input_format = probe_format();
  format_ = own(avformat_alloc_context());
  format_->pb = avio_.get();
  format_->io_open = &refuse_to_open;
  format_->max_streams = kMaxStreams;
  if (io_.source->is_live()) format_->max_analyze_duration = AV_TIME_BASE / 2;  // somebody waits
  format_->protocol_whitelist = duplicate("none");
  format_->format_whitelist = duplicate(kDemuxers);
  format_->codec_whitelist = duplicate(audio_decoder_names());

  AVFormatContext* format = format_.release();  // freed by avformat_open_input if it fails
  const int result = avformat_open_input(&format, "", input_format, nullptr);
  format_.reset(format);
  if (result < 0) {
    throw_input_error(
        name_, std::string("a damaged ") + input_format->long_name + " header (" + ffmpeg_error_text(result) + ")",
        "a complete file");
  }
  const std::vector<double> durations = declared_durations();  // before probing adds estimates
  avformat_find_stream_info(format, nullptr);                  // failure shows as a missing stream, channel or rate
  open_decoder(choose_stream());

  if (static_cast<std::size_t>(stream_) < durations.size()) declared_s_ = durations[stream_];
  const std::uint64_t riff_bytes = declared_riff_bytes(*io_.source);
  const std::int64_t bit_rate = format->streams[stream_]->codecpar->bit_rate;
  if (riff_bytes > io_.source->size() && bit_rate > 0) declared_s_ = 8.0 * static_cast<double>(riff_bytes) / bit_rate;
}

// Seconds that the container's header gives to each stream; 0 where it does not say.
std::vector<double> AudioReader::declared_durations() const {
  std::vector<double> durations;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    durations.push_back(seconds(format_->streams[i]->duration, format_->streams[i]->time_base));
  }
  // A container with one stream may state its length for the whole file only.
  if (durations.size() == 1 && durations[0] == 0) durations[0] = seconds(format_->duration, AV_TIME_BASE_Q);
  return durations;
}

const AVCodec* AudioReader::choose_stream() {
  const AVCodec* codec = nullptr;
  const int best = av_find_best_stream(format_.get(), AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
  const std::string format_name = format_->iformat->long_name;
  if (best == AVERROR_DECODER_NOT_FOUND) {
    throw_input_error(name_, "an audio stream without a decoder in a " + format_name + " file", "a known codec");
  }
  const auto has_no_channels = [](const AVStream* stream) {
    return stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && stream->codecpar->ch_layout.nb_channels <= 0;
  };
  AVStream** const streams = format_->streams;
  if (best < 0 && std::any_of(streams, streams + format_->nb_streams, has_no_channels)) {
    throw_input_error(name_, "an audio stream with 0 channels", "at least 1 channel");
  }
  if (best < 0) {
    throw_input_error(
        name_,
        "no audio stream in a " + format_name + " file (" + std::to_string(format_->nb_streams) + " other streams)",
        "at least one audio stream");
  }
  stream_ = best;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
  }
  return codec;
}

void AudioReader::open_decoder(const AVCodec* codec) {
  const AVStream& stream = *format_->streams[stream_];
  const AVCodecParameters& parameters = *stream.codecpar;
  const std::string found = std::string(codec->long_name != nullptr ? codec->long_name : codec->name) + " audio with " +
                            std::to_string(parameters.ch_layout.nb_channels) + " channels at " +
                            std::to_string(parameters.sample_rate) + " Hz";
  decoder_ = own(avcodec_alloc_context3(codec));
  if (avcodec_parameters_to_context(decoder_.get(), &parameters) < 0) throw std::bad_alloc();
  decoder_->pkt_timebase = stream.time_base;  // lets the decoder drop encoder delay and padding
  decoder_->thread_count = 1;
  const int result = avcodec_open2(decoder_.get(), codec, nullptr);
  if (result < 0) {
    throw_input_error(name_, found + " that cannot be decoded (" + ffmpeg_error_text(result) + ")", "a valid stream");
  }
}

const AVFrame* AudioReader::next() {
  for (;;) {
    const int result = avcodec_receive_frame(decoder_.get(), frame_.get());
    if (result == 0) {
      if (frame_->nb_samples <= 0 || frame_->ch_layout.nb_channels <= 0) continue;
      if (frame_->sample_rate < kMinRate || frame_->sample_rate > kMaxRate) {
        throw_input_error(name_, "a sample rate of " + std::to_string(frame_->sample_rate) + " Hz",
                          std::to_string(kMinRate) + " to " + std::to_string(kMaxRate) + " Hz");
      }
      decoded_s_ += static_cast<double>(frame_->nb_samples) / frame_->sample_rate;
      return frame_.get();
    }
    if (result == AVERROR_EOF) return nullptr;
    if (result != AVERROR(EAGAIN)) note_damage();
    if (draining_) return nullptr;
    feed_decoder();
  }
}

// Gives the decoder the next packet of our stream, or tells it that there is none.
void AudioReader::feed_decoder() {
  int n_retries = 0;
  for (;;) {
    const int result = av_read_frame(format_.get(), packet_.get());
    if (result == AVERROR(EAGAIN) && ++n_retries < kMaxRetries) continue;
    if (result < 0) {
      if (result != AVERROR_EOF) stop_reason_ = ffmpeg_error_text(result);
      if (avio_->error < 0 && avio_->error != AVERROR_EOF) stop_reason_ = ffmpeg_error_text(avio_->error);
      draining_ = true;
      avcodec_send_packet(decoder_.get(), nullptr);
      return;
    }
    if (packet_->stream_index != stream_) {
      av_packet_unref(packet_.get());
      continue;
    }
    // A cut packet of PCM loses nothing, and a WAV file of unknown length always ends with one.
    const bool is_cut =
        (packet_->flags & AV_PKT_FLAG_CORRUPT) != 0 && av_get_exact_bits_per_sample(decoder_->codec_id) == 0;
    const int sent = avcodec_send_packet(decoder_.get(), packet_.get());
    av_packet_unref(packet_.get());
    if (sent < 0 || is_cut) note_damage();
    return;
  }
}

void AudioReader::note_damage() {
  if (n_damaged_packets_++ == 0) first_damage_s_ = decoded_s_;
}

}  // namespace qasr
