// The microphone, through PortAudio where the program was built with it (microphone_portaudio.cc, else
// no_microphone.cc).
#pragma once

#include <memory>
#include <string>

#include "sound_source.h"

namespace qasr::app {

/// The devices that can record, one a line: number, name, rate; the default one is marked.
/// @throws Error kDevice  the program was built without PortAudio, or there is no sound system
std::string list_microphones();

/// @param device  "" is the default; a number of list_microphones(), or a part of a name
/// @throws Error kDevice  as above, and what the driver says; kInvalidArgument  no such device, several of that name
std::unique_ptr<SoundSource> open_microphone(const std::string& device);

}  // namespace qasr::app
