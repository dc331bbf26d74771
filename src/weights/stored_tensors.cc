// See stored_tensors.h. Three steps: which files hold weights, what do their headers say, what belongs together.
#include "weights/stored_tensors.h"

#include <algorithm>
#include <utility>

#include "qasr/error.h"
#include "weights/gguf.h"
#include "weights/json_reader.h"
#include "weights/weight_files.h"

namespace qasr {
namespace {

constexpr std::string_view kIndexName = "model.safetensors.index.json";

struct Shards {
  std::vector<const CheckpointFile*> files;
  std::map<std::string, std::string, std::less<>> shard_of;  // stored name -> file name; empty without an index
  bool are_gguf = false;
};

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kModel, "weights: " + message); }

Shards shards_of_index(const CheckpointFiles& files, const CheckpointFile& index) {
  const std::string where = files.path_of(kIndexName);
  const nlohmann::json document = parse_json(index.text(), where);
  const JsonObject weight_map = JsonObject(document, where).object("weight_map");
  Shards shards;
  for (const auto& [name, value] : document.at("weight_map").items()) {
    shards.shard_of[name] = weight_map.string_or(name.c_str(), "");
    const std::string& shard = shards.shard_of[name];
    if (shard.find('/') != std::string::npos || shard == "." || shard == "..") {
      fail("shard \"" + shard + "\", which " + where + " names for tensor " + name +
           ", is a path, expected the name of a file beside it");
    }
    const CheckpointFile* file = files.find(shard);
    if (file == nullptr) {
      fail("shard " + shard + ", which " + where + " names for tensor " + name + ", not found in " + files.where());
    }
    if (std::find(shards.files.begin(), shards.files.end(), file) == shards.files.end()) shards.files.push_back(file);
  }
  if (shards.files.empty()) fail("weight_map is empty, expected tensor names and files, in " + where);
  return shards;
}

Shards find_shards(const CheckpointFiles& files) {
  if (const CheckpointFile* index = files.find(kIndexName)) return shards_of_index(files, *index);
  Shards safetensors, gguf;
  std::string unsupported;
  for (const CheckpointFile& file : files.all()) {
    const WeightFileKind kind = weight_file_kind(file.bytes);
    if (kind == WeightFileKind::kGguf) {
      gguf.files.push_back(&file);
    } else if (kind == WeightFileKind::kSafetensors || file.name.ends_with(".safetensors")) {
      safetensors.files.push_back(&file);
    } else if (kind == WeightFileKind::kUnsupported) {
      unsupported += "; " + file.name + " is " + describe_unsupported(file.bytes);
    }
  }
  gguf.are_gguf = true;
  if (!safetensors.files.empty()) return safetensors;
  if (gguf.files.empty()) fail("no *.safetensors or GGUF file found in " + files.where() + unsupported);
  return gguf;
}

std::vector<StoredTensor> tensors_of(const CheckpointFiles& files, const CheckpointFile& file, bool is_gguf) {
  const std::string path = files.path_of(file.name);
  return is_gguf ? GgufFile(file.bytes, path).tensors() : read_safetensors(file.bytes, path);
}

// Every tensor must be where the index says it is.
void check_index(const CheckpointFiles& files, const Shards& shards, const StoredTensors& found) {
  for (const auto& [name, shard] : shards.shard_of) {
    const auto tensor = found.tensors.find(canonical_name(name).name);
    if (tensor == found.tensors.end() || tensor->second.file != shard) {
      fail("tensor " + name + " is " + (tensor == found.tensors.end() ? "missing" : "in " + tensor->second.file) +
           ", expected in " + shard + " according to " + files.path_of(kIndexName));
    }
  }
}

// Moves X.scales and X.biases into the U32 matrix X.weight they belong to.
void join_affine(const CheckpointFiles& files, StoredTensors& found) {
  constexpr std::string_view kWeight = ".weight";
  const auto take = [&](const std::string& name) {
    const auto entry = found.tensors.find(name);
    if (entry == found.tensors.end()) return StoredTensor{};
    StoredTensor taken = std::move(entry->second.stored);
    found.tensors.erase(entry);
    return taken;
  };
  std::vector<std::string> matrices;
  for (const auto& [name, tensor] : found.tensors) {
    if (name.ends_with(kWeight) && tensor.stored.dtype == DType::kU32) matrices.push_back(name);
  }
  for (const std::string& name : matrices) {
    const std::string stem = name.substr(0, name.size() - kWeight.size());
    FoundTensor& matrix = found.tensors.at(name);
    matrix.scales = take(stem + ".scales");
    matrix.biases = take(stem + ".biases");
    const bool has_scales = !matrix.scales.name.empty(), has_biases = !matrix.biases.name.empty();
    const std::string where = ", in " + files.path_of(matrix.file);
    if (!has_scales) fail("quantised tensor " + matrix.stored.name + " has no " + stem + ".scales" + where);
    if (has_biases) continue;
    fail("quantised tensor " + matrix.stored.name + " has scales of " + matrix.scales.dtype_text + " and no " + stem +
         ".biases, expected MLX's affine mode, which has both (mxfp4, mxfp8 and nvfp4 are not supported)" + where);
  }
}

}  // namespace

StoredTensors read_stored_tensors(const CheckpointFiles& files) {
  const Shards shards = find_shards(files);
  StoredTensors found;
  found.files = shards.files;
  found.is_gguf = shards.are_gguf;
  for (const CheckpointFile* shard : shards.files) {
    for (StoredTensor& stored : tensors_of(files, *shard, shards.are_gguf)) {
      ++found.n_stored;
      auto [name, layout] = shards.are_gguf ? canonical_gguf_name(stored.name) : canonical_name(stored.name);
      if (name.empty()) continue;
      const auto [entry, is_new] = found.tensors.try_emplace(std::move(name));
      if (!is_new) {
        fail("tensor " + stored.name + " in " + files.path_of(shard->name) + " is a duplicate of " +
             entry->second.stored.name + " in " + entry->second.file);
      }
      entry->second = {.stored = std::move(stored), .file = shard->name, .layout = layout, .is_gguf = shards.are_gguf};
    }
  }
  check_index(files, shards, found);
  join_affine(files, found);
  return found;
}

}  // namespace qasr
