// qasr_fuzz_replay CORPUS: every input of the corpus and some thousand damaged copies of it through its target, always
// the same ones. What `make test` runs in place of a fuzzer: any compiler builds it, and sanitizers watch it where they
// are on.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "targets.h"

namespace {

namespace fs = std::filesystem;

constexpr int kCopies = 250;  // of each input

constexpr std::pair<const char*, qasr::fuzz::Target> kTargets[] = {
    {"safetensors", qasr::fuzz::safetensors}, {"gguf", qasr::fuzz::gguf},        {"config", qasr::fuzz::config},
    {"tokenizer", qasr::fuzz::tokenizer},     {"words", qasr::fuzz::words},      {"multipart", qasr::fuzz::multipart},
    {"parameters", qasr::fuzz::parameters},   {"realtime", qasr::fuzz::realtime}};

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Changes, removes, repeats or cuts, mostly near the beginning, where headers are.
std::string damaged(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t n = 1 + below(4); n > 0 && !text.empty(); --n) {
    const std::size_t at = below(below(2) == 0 ? text.size() : std::min<std::size_t>(text.size(), 512));
    switch (below(5)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text[at] = static_cast<char>(text[at] ^ 1 << below(8));
        break;
      case 2:
        text.erase(at, 1 + below(16));
        break;
      case 3:
        text.insert(at, text.substr(at, 1 + below(32)));
        break;
      default:
        if (below(4) == 0) text.resize(at);
        break;
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: qasr_fuzz_replay CORPUS\n");
    return 2;
  }
  int n_inputs = 0;
  for (const auto& [name, target] : kTargets) {
    for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(argv[1]) / name)) {
      const std::string input = read_file(entry.path());
      std::mt19937 random(static_cast<std::uint32_t>(input.size()));
      target(std::as_bytes(std::span(input)));
      for (int copy = 0; copy < kCopies; ++copy, ++n_inputs) {
        const std::string bad = damaged(input, random);
        target(std::as_bytes(std::span(bad)));
      }
    }
  }
  std::printf("%d inputs\n", n_inputs);
  return n_inputs > 0 ? 0 : 1;
}
