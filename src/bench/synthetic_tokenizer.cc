#include "bench/synthetic_tokenizer.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "qasr/error.h"

namespace qasr::bench {
namespace {

// Ids of Qwen3-ASR (docs/model.md).
constexpr int kWords = 151643;
constexpr std::pair<int, const char*> kAdded[] = {
    {151643, "<|endoftext|>"}, {151644, "<|im_start|>"},  {151645, "<|im_end|>"}, {151669, "<|audio_start|>"},
    {151670, "<|audio_end|>"}, {151676, "<|audio_pad|>"}, {151704, "<asr_text>"}};

void append_utf8(int code, std::string& text) {
  if (code >= 0x80) text += static_cast<char>(0xc0 | code >> 6);
  text += static_cast<char>(code >= 0x80 ? 0x80 | (code & 0x3f) : code);
}

// How byte-level BPE writes a byte as a character: itself where that is printable, else one from U+0100 on.
std::string byte_symbol(int byte, int& n_moved) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  std::string text;
  append_utf8(printable ? byte : 256 + n_moved++, text);
  return text;
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw Error(ErrorCode::kModel, "cannot write " + path.string());
}

}  // namespace

void write_synthetic_tokenizer(const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / "vocab.json")) return;
  nlohmann::ordered_json added = nlohmann::ordered_json::object();
  for (const auto& [id, content] : kAdded) {
    added[std::to_string(id)] = {{"content", content},  {"single_word", false},
                                 {"lstrip", false},     {"rstrip", false},
                                 {"normalized", false}, {"special", std::string(content) != "<asr_text>"}};
  }
  write_file(directory / "tokenizer_config.json",
             nlohmann::ordered_json{
                 {"tokenizer_class", "Qwen2Tokenizer"}, {"add_prefix_space", false}, {"added_tokens_decoder", added}}
                 .dump(1));
  write_file(directory / "merges.txt", "#version: 0.2\n");
  nlohmann::json vocabulary = nlohmann::json::object();
  int n_moved = 0;
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_symbol(byte, n_moved)] = byte;
  for (int id = 256; id < kWords; ++id) vocabulary[std::to_string(id) + "w"] = id;
  write_file(directory / "vocab.json", vocabulary.dump());
}

}  // namespace qasr::bench
