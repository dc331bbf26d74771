#include <portaudio.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <vector>

#include "capture_buffer.h"
#include "microphone.h"
#include "qasr/audio.h"
#include "qasr/error.h"

namespace qasr::app {
namespace {

constexpr double kBuffered_s = 60, kStarve_s = 5;

[[noreturn]] void fail(const std::string& what, PaError error) {
  throw Error(ErrorCode::kDevice, "microphone: " + what + ": " + Pa_GetErrorText(error));
}

// PortAudio while it is in use.
class Library {
 public:
  Library() {
    if (const PaError error = Pa_Initialize(); error != paNoError) fail("PortAudio does not start", error);
  }
  ~Library() { Pa_Terminate(); }
  Library(const Library&) = delete;
};

std::vector<PaDeviceIndex> recording_devices() {
  std::vector<PaDeviceIndex> devices;
  for (PaDeviceIndex index = 0; index < Pa_GetDeviceCount(); ++index) {
    if (Pa_GetDeviceInfo(index)->maxInputChannels > 0) devices.push_back(index);
  }
  return devices;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

PaDeviceIndex find_device(const std::string& wanted) {
  const std::vector<PaDeviceIndex> devices = recording_devices();
  if (devices.empty()) throw Error(ErrorCode::kDevice, "microphone: this machine has no device that records");
  if (wanted.empty()) {
    const PaDeviceIndex device = Pa_GetDefaultInputDevice();
    return device == paNoDevice ? devices.front() : device;
  }
  std::vector<PaDeviceIndex> found;
  for (const PaDeviceIndex index : devices) {
    const bool by_number = wanted == std::to_string(index);
    if (by_number) return index;
    if (lower(Pa_GetDeviceInfo(index)->name).find(lower(wanted)) != std::string::npos) found.push_back(index);
  }
  if (found.size() == 1) return found.front();
  throw Error(ErrorCode::kInvalidArgument, std::string("--microphone: ") + (found.empty() ? "no" : "more than one") +
                                               " microphone matches \"" + wanted +
                                               "\"; qasr stream --list-microphones shows what there is");
}

class Microphone final : public SoundSource {
 public:
  explicit Microphone(const std::string& device) : buffer_(static_cast<std::size_t>(kBuffered_s * 48000), kStarve_s) {
    const PaDeviceIndex index = find_device(device);
    const PaDeviceInfo& info = *Pa_GetDeviceInfo(index);
    PaStreamParameters parameters{};
    parameters.device = index;
    parameters.channelCount = 1;
    parameters.sampleFormat = paFloat32;
    parameters.suggestedLatency = info.defaultLowInputLatency;
    rate_ = Pa_IsFormatSupported(&parameters, nullptr, kSampleRate) == paFormatIsSupported
                ? kSampleRate
                : static_cast<int>(info.defaultSampleRate);
    PaError error =
        Pa_OpenStream(&stream_, &parameters, nullptr, rate_, paFramesPerBufferUnspecified, paNoFlag, &on_samples, this);
    if (error != paNoError) fail(std::string("cannot open ") + info.name, error);
    Pa_SetStreamFinishedCallback(stream_, &on_finished);
    error = Pa_StartStream(stream_);
    if (error == paNoError) return;
    Pa_CloseStream(stream_);
    fail(std::string("cannot record from ") + info.name, error);
  }
  ~Microphone() override {
    closing_ = true;
    Pa_AbortStream(stream_);
    Pa_CloseStream(stream_);
  }
  int sample_rate() const override { return rate_; }
  bool read(std::vector<float>& out) override { return buffer_.read(out); }
  void stop() override { buffer_.stop(); }
  std::vector<std::string> warnings() const override {
    std::vector<std::string> found;
    if (buffer_.n_dropped() > 0) {
      found.push_back("the machine is too slow for this model: " +
                      std::to_string(static_cast<double>(buffer_.n_dropped()) / rate_).substr(0, 5) +
                      " s of sound were lost");
    }
    if (buffer_.n_gaps() > 0) found.push_back("the driver lost sound " + std::to_string(buffer_.n_gaps()) + " times");
    return found;
  }

 private:
  static int on_samples(const void* input, void*, unsigned long n_frames, const PaStreamCallbackTimeInfo*,
                        PaStreamCallbackFlags flags, void* self) {
    CaptureBuffer& buffer = static_cast<Microphone*>(self)->buffer_;
    if ((flags & paInputOverflow) != 0) buffer.add_gap();
    if (input != nullptr) buffer.add({static_cast<const float*>(input), n_frames});
    return paContinue;
  }
  static void on_finished(void* self) {
    auto& microphone = *static_cast<Microphone*>(self);
    if (!microphone.closing_) microphone.buffer_.fail("the microphone has gone: unplugged, or its driver stopped");
  }

  Library library_;
  CaptureBuffer buffer_;
  PaStream* stream_ = nullptr;
  int rate_ = kSampleRate;
  std::atomic<bool> closing_ = false;
};

}  // namespace

std::string list_microphones() {
  const Library library;
  std::string list;
  for (const PaDeviceIndex index : recording_devices()) {
    const PaDeviceInfo& info = *Pa_GetDeviceInfo(index);
    char line[32];
    std::snprintf(line, sizeof line, "%3d%s ", index, index == Pa_GetDefaultInputDevice() ? " *" : "  ");
    list += line + std::string(info.name) + " (" + std::to_string(static_cast<int>(info.defaultSampleRate)) + " Hz)\n";
  }
  return list.empty() ? "no device that records\n" : list;
}

std::unique_ptr<SoundSource> open_microphone(const std::string& device) { return std::make_unique<Microphone>(device); }

}  // namespace qasr::app
