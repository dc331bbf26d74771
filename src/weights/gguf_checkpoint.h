// A GGUF checkpoint as the other files of the engine expect one: what config.json, generation_config.json and the
// tokenizer's files would say is made from the metadata and the tensors' shapes.
#pragma once

#include <span>
#include <vector>

#include "weights/checkpoint_files.h"

namespace qasr {

/// The parts of a GGUF checkpoint: one file, or a text model and an audio encoder ("mmproj") as llama.cpp makes them.
/// Picks them from GGUF files of one directory: `wanted`, if not null, is one of them.
/// @throws Error kModel  no complete set, more than one, split files; the message lists what was found
std::vector<const CheckpointFile*> gguf_parts(std::span<const CheckpointFile* const> files,
                                              const CheckpointFile* wanted, const std::string& where);

/// config.json, generation_config.json and tokenizer.json or vocab.json, merges.txt and tokenizer_config.json.
/// @throws Error kModel  naming file, key or tensor, found and expected
std::vector<OwnedFile> gguf_side_files(std::span<const CheckpointFile* const> parts, const std::string& where);

}  // namespace qasr
