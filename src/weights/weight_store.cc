// See weight_store.h. Three steps: which files are shards, what do their headers hold, is it what the model needs.
#include "weights/weight_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "qasr/error.h"
#include "weights/json_reader.h"
#include "weights/safetensors.h"

namespace qasr {
namespace {

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::size_t kMaxListedTensors = 5;

// A tensor found in a shard, under its canonical name (the key of the map that holds it).
struct FoundTensor {
  StoredTensor stored;
  std::string shard;
  NameLayout layout = NameLayout::kBare;
};
using FoundTensors = std::map<std::string, FoundTensor, std::less<>>;

struct Shards {
  std::vector<const CheckpointFile*> files;
  std::map<std::string, std::string, std::less<>> shard_of;  // stored name -> file name; empty without an index
};

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kModel, "weights: " + message); }

// "3 tensors missing (a, b, c)"
std::string list_tensors(const std::vector<std::string>& names, const char* what) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxListedTensors); ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kMaxListedTensors) text += ", ...";
  return std::to_string(names.size()) + (names.size() == 1 ? " tensor " : " tensors ") + what + " (" + text + ")";
}

Shards shards_of_index(const CheckpointFiles& files, const CheckpointFile& index) {
  const std::string where = files.path_of(kIndexName);
  const nlohmann::json document = parse_json(index.text(), where);
  const JsonObject weight_map = JsonObject(document, where).object("weight_map");
  Shards shards;
  for (const auto& [name, value] : document.at("weight_map").items()) {
    shards.shard_of[name] = weight_map.string_or(name.c_str(), "");
    const std::string& shard = shards.shard_of[name];
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
  Shards shards;
  for (const CheckpointFile& file : files.all()) {
    if (file.name.ends_with(".safetensors")) shards.files.push_back(&file);
  }
  if (shards.files.empty()) fail("no *.safetensors file found in " + files.where());
  return shards;
}

// Every tensor must be where the index says it is.
void check_index(const CheckpointFiles& files, const Shards& shards, const FoundTensors& found) {
  for (const auto& [name, shard] : shards.shard_of) {
    const auto tensor = found.find(canonical_name(name).name);
    if (tensor == found.end() || tensor->second.shard != shard) {
      fail("tensor " + name + " is " + (tensor == found.end() ? "missing" : "in " + tensor->second.shard) +
           ", expected in " + shard + " according to " + files.path_of(kIndexName));
    }
  }
}

FoundTensors read_shards(const CheckpointFiles& files, const Shards& shards) {
  FoundTensors found;
  for (const CheckpointFile* shard : shards.files) {
    for (StoredTensor& stored : read_safetensors(shard->bytes, files.path_of(shard->name))) {
      auto [name, layout] = canonical_name(stored.name);
      const auto [entry, is_new] = found.try_emplace(std::move(name));
      if (!is_new) {
        fail("tensor " + stored.name + " in " + files.path_of(shard->name) + " is a duplicate of " +
             entry->second.stored.name + " in " + entry->second.shard);
      }
      entry->second = {.stored = std::move(stored), .shard = shard->name, .layout = layout};
    }
  }
  check_index(files, shards, found);
  return found;
}

void check_names(const CheckpointFiles& files, const FoundTensors& found, const std::vector<ExpectedTensor>& expected) {
  std::vector<std::string> missing, unknown;
  std::map<std::string_view, const ExpectedTensor*> by_name;
  for (const ExpectedTensor& tensor : expected) {
    by_name[tensor.name] = &tensor;
    if (!tensor.optional && !found.contains(tensor.name)) missing.push_back(tensor.name);
  }
  for (const auto& [name, tensor] : found) {
    if (!by_name.contains(name)) unknown.push_back(tensor.stored.name);
  }
  if (missing.empty() && unknown.empty()) return;
  std::string text;
  if (!missing.empty()) text += list_tensors(missing, "missing");
  if (!unknown.empty()) text += (text.empty() ? "" : " and ") + list_tensors(unknown, "unknown");
  fail(text + ", expected the " + std::to_string(expected.size()) + " tensors that config.json implies, in " +
       files.where());
}

std::string dims_text(const std::vector<std::int64_t>& dims) {
  std::string text;
  for (std::int64_t dim : dims) text += (text.empty() ? "" : ", ") + std::to_string(dim);
  return "[" + text + "]";
}

bool same_shape(const std::vector<std::int64_t>& dims, const Shape& shape) {
  if (static_cast<int>(dims.size()) != shape.rank()) return false;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (dims[static_cast<std::size_t>(axis)] != shape[axis]) return false;
  }
  return true;
}

// Said in addition where a wrong shape means that vocabulary and weights belong to different models.
std::string vocabulary_hint(const FoundTensor& found, const ExpectedTensor& expected, const ModelConfig& config) {
  const bool is_embedding = expected.name == "model.embed_tokens.weight", is_head = expected.name == "lm_head.weight";
  if ((!is_embedding && !is_head) || found.stored.dims.size() != 2 || found.stored.dims[0] == expected.shape[0]) {
    return {};
  }
  const std::string rows = std::to_string(found.stored.dims[0]);
  if (is_head && config.is_forced_aligner) {
    return ": the head has " + rows + " rows, config.json has " + std::to_string(config.n_classes) + " classes";
  }
  return ": the vocabulary does not match the " + std::string(is_head ? "head, which" : "embedding, which") + " has " +
         rows + " rows, config.json has vocab_size " + std::to_string(config.text.vocab);
}

// The tensor as the engine sees it. Throws unless shape and dtype are what the model needs.
HostTensor checked(const CheckpointFiles& files, const FoundTensor& found, const ExpectedTensor& expected,
                   const ModelConfig& config) {
  const StoredTensor& stored = found.stored;
  if (!same_shape(stored.dims, expected.shape)) {
    fail("tensor " + stored.name + " has shape " + dims_text(stored.dims) + ", expected " + expected.shape.to_string() +
         ", in " + files.path_of(found.shard) + vocabulary_hint(found, expected, config));
  }
  const bool is_float = stored.dtype == DType::kBf16 || stored.dtype == DType::kF16 || stored.dtype == DType::kF32;
  if (!is_float) {
    fail("tensor " + stored.name + " has dtype " + stored.dtype_text + ", expected BF16, F16 or F32, in " +
         files.path_of(found.shard));
  }
  return {.name = expected.name, .dtype = *stored.dtype, .shape = expected.shape, .bytes = stored.bytes};
}

}  // namespace

WeightStore::WeightStore(const CheckpointFiles& files, const ModelConfig& config) {
  const Shards shards = find_shards(files);
  const FoundTensors found = read_shards(files, shards);
  const std::vector<ExpectedTensor> expected = expected_tensors(config);
  check_names(files, found, expected);
  for (const ExpectedTensor& tensor : expected) {
    const auto entry = found.find(tensor.name);
    if (entry == found.end()) continue;  // optional, or check_names would have thrown
    HostTensor host = checked(files, entry->second, tensor, config);
    if (entry->second.layout != NameLayout::kBare) name_layout_ = entry->second.layout;
    if (tensor.optional) continue;
    index_.emplace(tensor.name, tensors_.size());
    tensors_.push_back(std::move(host));
  }
  n_shards_ = static_cast<int>(shards.files.size());
  n_stored_ = static_cast<int>(found.size());
  for (const CheckpointFile* shard : shards.files) shard_bytes_ += shard->bytes.size();
}

const HostTensor& WeightStore::tensor(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  QASR_CHECK_MSG(found != index_.end(), "no tensor " + std::string(name));
  return tensors_[found->second];
}

bool WeightStore::contains(std::string_view name) const { return index_.contains(std::string(name)); }

}  // namespace qasr
