// A tokenizer for synthetic checkpoints, so that whole engines can be measured on them: every token of the official
// vocabulary's size has some text, and the special tokens have the official ids.
#pragma once

#include <filesystem>

namespace qasr::bench {

/// Writes vocab.json, merges.txt and tokenizer_config.json into a checkpoint's directory, if it has none.
/// @throws Error kModel  a file cannot be written
void write_synthetic_tokenizer(const std::filesystem::path& directory);

}  // namespace qasr::bench
