#include "microphone.h"
#include "qasr/error.h"

namespace qasr::app {
namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorCode::kDevice,
              "this program was built without PortAudio, so it knows no microphones; install portaudio19-dev and build "
              "it again, or pipe sound in: arecord -q -f S16_LE -r 16000 -t raw | qasr stream --rate 16000 -");
}

}  // namespace

std::string list_microphones() { refuse(); }
std::unique_ptr<SoundSource> open_microphone(const std::string&) { refuse(); }

}  // namespace qasr::app
