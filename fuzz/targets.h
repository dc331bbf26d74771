// What is fuzzed: each function feeds bytes from nowhere to one reader of foreign files. A reader may throw Error;
// anything else (another exception, a crash, a sanitizer's report) is a finding.
#pragma once

#include <cstddef>
#include <span>

namespace qasr::fuzz {

using Target = void (*)(std::span<const std::byte> bytes);

void safetensors(std::span<const std::byte> bytes);  ///< the container, and every tensor's bytes
void gguf(std::span<const std::byte> bytes);    ///< the container, the checkpoint made from it, every tensor decoded
void config(std::span<const std::byte> bytes);  ///< config.json
/// vocab.json, merges.txt, tokenizer_config.json, added_tokens.json and tokenizer.json, separated by zero bytes.
void tokenizer(std::span<const std::byte> bytes);

/// A text divided into words by every rule: all surfaces together must be the text.
void words(std::span<const std::byte> bytes);

void multipart(std::span<const std::byte> bytes);  ///< body of a form, in pieces; then its fields as parameters
/// Lines: a target with a query, a Content-Type, an Authorization, subprotocols, then fields name=value of a form.
void parameters(std::span<const std::byte> bytes);
void realtime(std::span<const std::byte> bytes);  ///< messages of a Realtime client, separated by line feeds

}  // namespace qasr::fuzz
