// Standard input as a source of bytes.
#pragma once

#include <cstddef>
#include <span>

namespace qasr::app {

/// Fills the span as far as bytes are there; 0 at the end.
/// @throws Error kInput  it cannot be read
std::size_t read_standard_input(std::span<std::byte> destination);

}  // namespace qasr::app
