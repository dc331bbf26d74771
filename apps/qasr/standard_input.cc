#include "standard_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "qasr/error.h"

namespace qasr::app {

std::size_t read_standard_input(std::span<std::byte> destination) {
  for (;;) {
    const ssize_t n_bytes = ::read(STDIN_FILENO, destination.data(), destination.size());
    if (n_bytes >= 0) return static_cast<std::size_t>(n_bytes);
    if (errno != EINTR) {
      throw Error(ErrorCode::kInput, std::string("reading standard input: ") + std::strerror(errno));
    }
  }
}

}  // namespace qasr::app
