// See synthetic_checkpoint.h. Tensors are cut into blocks, which threads fill and store in any order.
#include "weights/synthetic_checkpoint.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "qasr/error.h"
#include "weights/config_json.h"
#include "weights/expected_tensors.h"
#include "weights/safetensors.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBlockElements = std::int64_t{1} << 19;  // 1 MiB of bf16: stays in a core's cache
constexpr const char* kTokenizerFiles[] = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
                                           "added_tokens.json"};

struct Shard {
  std::string name;
  std::vector<HostTensor> stored;        // under stored names, without bytes
  std::vector<SyntheticTensor> sources;  // the same tensors' elements
};

struct Block {
  std::size_t shard, tensor;
  std::int64_t begin, count;  // elements
};

using StoreBlock = std::function<void(const Block& block, std::span<const std::byte> bytes)>;

std::size_t bytes_of(const HostTensor& tensor) {
  return static_cast<std::size_t>(tensor.shape.elements()) * dtype_bytes(tensor.dtype);
}

std::string shard_name(int shard, int n_shards) {
  if (n_shards == 1) return "model.safetensors";
  char text[64];
  std::snprintf(text, sizeof text, "model-%05d-of-%05d.safetensors", shard + 1, n_shards);
  return text;
}

// All tensors in checkpoint order, cut into runs of about equal bytes. A tied head is left out.
std::vector<Shard> plan_shards(const SyntheticModel& model, const SyntheticOptions& options) {
  const bool is_float = options.dtype == DType::kBf16 || options.dtype == DType::kF16 || options.dtype == DType::kF32;
  if (!is_float) {
    throw Error(ErrorCode::kInvalidArgument, "synthetic checkpoint: dtype " + std::string(dtype_name(options.dtype)) +
                                                 ", expected bf16, f16 or f32");
  }
  std::vector<ExpectedTensor> tensors = expected_tensors(model.config);
  std::erase_if(tensors, [](const ExpectedTensor& tensor) { return tensor.optional; });
  if (options.n_shards < 1 || static_cast<std::size_t>(options.n_shards) > tensors.size()) {
    throw Error(ErrorCode::kInvalidArgument, "synthetic checkpoint: " + std::to_string(options.n_shards) +
                                                 " shards, expected 1 to " + std::to_string(tensors.size()));
  }
  std::size_t total = 0, used = 0;
  for (const ExpectedTensor& tensor : tensors) total += static_cast<std::size_t>(tensor.shape.elements());
  std::vector<Shard> shards;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ExpectedTensor& tensor = tensors[i];
    const std::size_t n_shards = static_cast<std::size_t>(options.n_shards);
    const std::size_t still_needed = n_shards - shards.size();
    const bool is_due = used >= total / n_shards * shards.size() || tensors.size() - i == still_needed;
    if (still_needed > 0 && is_due) {
      shards.push_back(
          {.name = shard_name(static_cast<int>(shards.size()), options.n_shards), .stored = {}, .sources = {}});
    }
    shards.back().stored.push_back({.name = stored_name(tensor.name, options.names, model.config.is_forced_aligner),
                                    .dtype = options.dtype,
                                    .shape = tensor.shape,
                                    .bytes = {}});
    shards.back().sources.emplace_back(model.rule, stored_name(tensor.name, NameLayout::kOfficial), tensor.shape,
                                       options.seed);
    used += static_cast<std::size_t>(tensor.shape.elements());
  }
  return shards;
}

std::vector<Block> cut_into_blocks(const std::vector<Shard>& shards) {
  std::vector<Block> blocks;
  for (std::size_t shard = 0; shard < shards.size(); ++shard) {
    for (std::size_t tensor = 0; tensor < shards[shard].stored.size(); ++tensor) {
      const std::int64_t elements = shards[shard].stored[tensor].shape.elements();
      for (std::int64_t begin = 0; begin < elements; begin += kBlockElements) {
        blocks.push_back({shard, tensor, begin, std::min(kBlockElements, elements - begin)});
      }
    }
  }
  return blocks;
}

void fill_block(const SyntheticTensor& source, DType dtype, const Block& block, std::vector<std::byte>& out) {
  const std::size_t count = static_cast<std::size_t>(block.count);
  out.resize(count * dtype_bytes(dtype));
  switch (dtype) {
    case DType::kBf16:
      return source.fill(block.begin, std::span(reinterpret_cast<bf16*>(out.data()), count));
    case DType::kF16:
      return source.fill(block.begin, std::span(reinterpret_cast<f16*>(out.data()), count));
    default:
      return source.fill(block.begin, std::span(reinterpret_cast<float*>(out.data()), count));
  }
}

// Computes every block on `n_threads` threads and hands it to `store`; the first exception stops all and is rethrown.
void generate(const std::vector<Shard>& shards, int n_threads, const StoreBlock& store) {
  const std::vector<Block> blocks = cut_into_blocks(shards);
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      std::vector<std::byte> bytes;
      for (std::size_t index = next++; index < blocks.size(); index = next++) {
        const Block& block = blocks[index];
        const Shard& shard = shards[block.shard];
        fill_block(shard.sources[block.tensor], shard.stored[block.tensor].dtype, block, bytes);
        store(block, bytes);
      }
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = blocks.size();
    }
  };
  const std::size_t wanted = n_threads > 0 ? static_cast<std::size_t>(n_threads) : std::thread::hardware_concurrency();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(wanted, blocks.size()); ++i) threads.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

std::string index_json(const std::vector<Shard>& shards) {
  std::size_t total_bytes = 0;
  nlohmann::ordered_json weight_map = nlohmann::ordered_json::object();
  for (const Shard& shard : shards) {
    for (const HostTensor& tensor : shard.stored) {
      weight_map.emplace(tensor.name, shard.name);
      total_bytes += bytes_of(tensor);
    }
  }
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", weight_map}};
  return index.dump(2) + "\n";
}

struct TextFile {
  std::string name, text;
};

std::vector<TextFile> text_files(const SyntheticModel& model, const SyntheticOptions& options,
                                 const std::vector<Shard>& shards) {
  ModelConfig config = model.config;
  config.layout = options.config_layout;
  std::vector<TextFile> files = {{"config.json", config_json(config, options.dtype)},
                                 {"generation_config.json", generation_config_json(config)},
                                 {"preprocessor_config.json", preprocessor_config_json(config)}};
  if (shards.size() > 1) files.push_back({"model.safetensors.index.json", index_json(shards)});
  return files;
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) throw Error(ErrorCode::kModel, "cannot write " + path.string());
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  if (from.empty()) return;
  bool has_vocabulary = false;
  for (const char* name : kTokenizerFiles) {
    std::error_code error;
    if (!fs::exists(from / name, error)) continue;
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing, error);
    if (error) throw Error(ErrorCode::kModel, "cannot copy " + (from / name).string() + ": " + error.message());
    has_vocabulary =
        has_vocabulary || std::string_view(name) == "vocab.json" || std::string_view(name) == "tokenizer.json";
  }
  if (!has_vocabulary) {
    throw Error(ErrorCode::kInvalidArgument,
                "no tokenizer in " + from.string() + ", expected vocab.json and merges.txt, or tokenizer.json");
  }
}

}  // namespace

CheckpointFiles synthetic_checkpoint(const SyntheticModel& model, const SyntheticOptions& options) {
  const std::vector<Shard> shards = plan_shards(model, options);
  std::vector<OwnedFile> files;
  std::vector<std::vector<std::size_t>> begins(shards.size());  // of each tensor in its shard's file
  for (std::size_t shard = 0; shard < shards.size(); ++shard) {
    const std::string header = safetensors_header(shards[shard].stored);
    std::size_t end = header.size();
    for (const HostTensor& tensor : shards[shard].stored) {
      begins[shard].push_back(end);
      end += bytes_of(tensor);
    }
    files.push_back({.name = shards[shard].name, .bytes = std::vector<std::byte>(end)});
    std::memcpy(files.back().bytes.data(), header.data(), header.size());
  }
  generate(shards, options.n_threads, [&](const Block& block, std::span<const std::byte> bytes) {
    const std::size_t offset = static_cast<std::size_t>(block.begin) * dtype_bytes(options.dtype);
    std::memcpy(files[block.shard].bytes.data() + begins[block.shard][block.tensor] + offset, bytes.data(),
                bytes.size());
  });
  for (const TextFile& file : text_files(model, options, shards)) {
    const auto* begin = reinterpret_cast<const std::byte*>(file.text.data());
    files.push_back({.name = file.name, .bytes = {begin, begin + file.text.size()}});
  }
  return CheckpointFiles::from_owned(std::move(files), "synthetic:" + model.name);
}

void write_synthetic_checkpoint(const fs::path& directory, const SyntheticModel& model,
                                const SyntheticOptions& options) {
  const std::vector<Shard> shards = plan_shards(model, options);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw Error(ErrorCode::kModel, "cannot create " + directory.string() + ": " + error.message());
  copy_tokenizer(options.tokenizer_dir, directory);
  std::vector<std::unique_ptr<SafetensorsWriter>> writers;
  for (const Shard& shard : shards) {
    writers.push_back(std::make_unique<SafetensorsWriter>(directory / shard.name, shard.stored));
  }
  generate(shards, options.n_threads, [&](const Block& block, std::span<const std::byte> bytes) {
    writers[block.shard]->write(block.tensor, static_cast<std::size_t>(block.begin) * dtype_bytes(options.dtype),
                                bytes);
  });
  for (const auto& writer : writers) writer->finish();
  for (const TextFile& file : text_files(model, options, shards)) write_text(directory / file.name, file.text);
}

}  // namespace qasr
