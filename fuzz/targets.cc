#include "targets.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/align.h"
#include "qasr/error.h"
#include "tensor/widen.h"
#include "text/tokenizer.h"
#include "weights/expected_tensors.h"
#include "weights/gguf.h"
#include "weights/gguf_checkpoint.h"
#include "weights/model_config.h"
#include "weights/safetensors.h"

namespace qasr::fuzz {
namespace {

constexpr std::int64_t kMostDecoded = 1 << 12;

// Reads both ends of the tensor, so that a wrong range is noticed.
void decode(const StoredTensor& stored) {
  if (stored.dims.size() != 2 || stored.dims[0] < 1 || stored.dims[1] < 1 || !stored.dtype) return;
  const bool is_float = stored.dtype == DType::kF32 || stored.dtype == DType::kF16 || stored.dtype == DType::kBf16;
  if (!is_float) return;
  const HostTensor tensor{.name = stored.name,
                          .dtype = *stored.dtype,
                          .shape = {stored.dims[0], stored.dims[1]},
                          .bytes = stored.bytes,
                          .encoding = stored.encoding};
  std::vector<float> values(static_cast<std::size_t>(std::min(kMostDecoded, tensor.shape.elements())));
  widen_to_f32(tensor, values);
  widen_to_f32(tensor, values, tensor.shape.elements() - static_cast<std::int64_t>(values.size()));
}

CheckpointFile file(std::string name, std::span<const std::byte> bytes) {
  return {.name = std::move(name), .bytes = bytes};
}

}  // namespace

void safetensors(std::span<const std::byte> bytes) {
  try {
    for (const StoredTensor& tensor : read_safetensors(bytes, "fuzz")) decode(tensor);
  } catch (const Error&) {
  }
}

void gguf(std::span<const std::byte> bytes) {
  try {
    const GgufFile container(bytes, "fuzz");
    for (const StoredTensor& tensor : container.tensors()) decode(tensor);
    const CheckpointFile whole = file("model.gguf", bytes);
    const CheckpointFile* files[] = {&whole};
    gguf_side_files(gguf_parts(files, &whole, "fuzz"), "fuzz");
  } catch (const Error&) {
  }
}

void config(std::span<const std::byte> bytes) {
  try {
    const ModelConfig config = parse_model_config(CheckpointFiles::from_memory({file("config.json", bytes)}, "fuzz"));
    expected_tensors(config);
  } catch (const Error&) {
  }
}

void tokenizer(std::span<const std::byte> bytes) {
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  try {
    const Tokenizer tokenizer({.tokenizer_json = parts[4],
                               .vocab_json = parts[0],
                               .merges_txt = parts[1],
                               .tokenizer_config_json = parts[2],
                               .added_tokens_json = parts[3],
                               .where = "fuzz"});
    tokenizer.decode(tokenizer.encode("system user <asr_text> caf\xc3\xa9 \xff 12"));
  } catch (const Error&) {
  }
}

void words(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const char* language : {"", "English", "Japanese", "Korean", "Hindi"}) {
    for (const CombiningMarks marks : {CombiningMarks::kAuto, CombiningMarks::kKeep}) {
      std::string surfaces;
      const std::vector<TextWord> found = split_words(text, {.language = language, .marks = marks});
      for (const TextWord& word : found) surfaces += word.surface;
      if (!found.empty() && surfaces != text) throw std::logic_error("surfaces are not the text");
    }
  }
}

}  // namespace qasr::fuzz
