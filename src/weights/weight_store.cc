// See weight_store.h. Is what the files hold (stored_tensors.h) what the model needs?
#include "weights/weight_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "qasr/error.h"
#include "tensor/affine_groups.h"
#include "weights/dims_text.h"
#include "weights/stored_tensors.h"

namespace qasr {
namespace {

constexpr std::size_t kMaxListedTensors = 5;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kModel, "weights: " + message); }

// "3 tensors missing (a, b, c)"
std::string list_tensors(const std::vector<std::string>& names, const char* what) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxListedTensors); ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kMaxListedTensors) text += ", ...";
  return std::to_string(names.size()) + (names.size() == 1 ? " tensor " : " tensors ") + what + " (" + text + ")";
}

void check_names(const CheckpointFiles& files, const StoredTensors& found,
                 const std::vector<ExpectedTensor>& expected) {
  std::vector<std::string> missing, unknown;
  std::map<std::string_view, const ExpectedTensor*> by_name;
  for (const ExpectedTensor& tensor : expected) {
    by_name[tensor.name] = &tensor;
    if (!tensor.optional && !found.tensors.contains(tensor.name)) missing.push_back(tensor.name);
  }
  for (const auto& [name, tensor] : found.tensors) {
    if (!by_name.contains(name)) unknown.push_back(tensor.stored.name);
  }
  if (missing.empty() && unknown.empty()) return;
  std::string text;
  if (!missing.empty()) text += list_tensors(missing, "missing");
  if (!unknown.empty()) text += (text.empty() ? "" : " and ") + list_tensors(unknown, "unknown");
  fail(text + ", expected the " + std::to_string(expected.size()) + " tensors that config.json implies, in " +
       files.where());
}

std::vector<std::int64_t> dims_of(const Shape& shape) {
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
  return dims;
}

// The elements of a kernel [O, I, H, W] lie as [O, H, W, I] in MLX files. Where both read alike, I is H is W, the first
// convolution (I = 1) tells.
bool is_channels_last(const FoundTensor& found, const ExpectedTensor& expected, bool first_is_channels_last) {
  if (expected.shape.rank() != 4 || found.is_gguf) return false;
  const Shape& shape = expected.shape;
  const std::vector<std::int64_t> last = {shape[0], shape[2], shape[3], shape[1]};
  return found.stored.dims == last && (last != dims_of(shape) || first_is_channels_last);
}

// GGUF files carry axes of length 1 that the model has not: [480, 1, 1] for a bias.
bool same_shape(const FoundTensor& found, const Shape& shape) {
  std::vector<std::int64_t> dims = found.stored.dims, expected = dims_of(shape);
  if (found.is_gguf) {
    std::erase(dims, 1);
    std::erase(expected, 1);
  }
  return dims == expected;
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

// An MLX-quantised matrix as the engine sees it: bits and group size follow from the shapes.
HostTensor checked_affine(const CheckpointFiles& files, const FoundTensor& found, const ExpectedTensor& expected) {
  const StoredTensor &q = found.stored, &scales = found.scales, &biases = found.biases;
  const std::string where = ", in " + files.path_of(found.file);
  const std::int64_t rows = expected.shape[0], cols = expected.shape.rank() == 2 ? expected.shape[1] : 0;
  const bool is_matrix = cols > 0 && q.dims.size() == 2 && q.dims[0] == rows && scales.dims.size() == 2;
  const std::int64_t words = is_matrix ? q.dims[1] : 0, groups = is_matrix ? scales.dims[1] : 0;
  const std::int64_t bits = is_matrix ? words * 32 / cols : 0;
  if (!is_matrix || bits < 2 || bits > 8 || bits == 7 || bits * cols != words * 32) {
    fail("quantised tensor " + q.name + " has shape " + dims_text(q.dims) + ", expected [" + std::to_string(rows) +
         ", " + std::to_string(cols) + " * bits / 32] with 2, 3, 4, 5, 6 or 8 bits" + where);
  }
  if (scales.dims != biases.dims || scales.dims[0] != rows || groups < 1 || cols % groups != 0 ||
      (cols / groups != 32 && cols / groups != 64 && cols / groups != 128)) {
    fail("scales " + scales.name + " have shape " + dims_text(scales.dims) + " and biases " + dims_text(biases.dims) +
         ", expected both [" + std::to_string(rows) + ", " + std::to_string(cols) + " / 32, 64 or 128]" + where);
  }
  const bool is_float = scales.dtype == DType::kBf16 || scales.dtype == DType::kF16 || scales.dtype == DType::kF32;
  if (!is_float || scales.dtype != biases.dtype) {
    fail("scales " + scales.name + " are " + scales.dtype_text + " and biases " + biases.dtype_text +
         ", expected both BF16, F16 or F32 (MLX's affine mode)" + where);
  }
  return {.name = expected.name,
          .dtype = DType::kF32,
          .shape = expected.shape,
          .bytes = q.bytes,
          .encoding = Encoding::kMlxAffine,
          .affine = {.bits = static_cast<int>(bits),
                     .group_size = cols / groups,
                     .dtype = *scales.dtype,
                     .scales = scales.bytes,
                     .biases = biases.bytes}};
}

// The tensor as the engine sees it. Throws unless shape and dtype are what the model needs.
HostTensor checked(const CheckpointFiles& files, const FoundTensor& found, const ExpectedTensor& expected,
                   const ModelConfig& config, bool first_is_channels_last) {
  if (found.is_affine()) return checked_affine(files, found, expected);
  const StoredTensor& stored = found.stored;
  const bool channels_last = is_channels_last(found, expected, first_is_channels_last);
  if (!channels_last && !same_shape(found, expected.shape)) {
    fail("tensor " + stored.name + " has shape " + dims_text(stored.dims) + ", expected " + expected.shape.to_string() +
         ", in " + files.path_of(found.file) + vocabulary_hint(found, expected, config));
  }
  const bool is_float = stored.dtype == DType::kBf16 || stored.dtype == DType::kF16 || stored.dtype == DType::kF32;
  if (!is_float) {
    fail("tensor " + stored.name + " has dtype " + stored.dtype_text + ", expected BF16, F16 or F32, in " +
         files.path_of(found.file));
  }
  if (stored.encoding != Encoding::kPlain && expected.shape.rank() != 2) {
    fail("tensor " + stored.name + " is " + stored.dtype_text + ", expected F32, F16 or BF16 for a tensor of shape " +
         expected.shape.to_string() + ", in " + files.path_of(found.file));
  }
  return {.name = expected.name,
          .dtype = *stored.dtype,
          .shape = expected.shape,
          .bytes = stored.bytes,
          .encoding = stored.encoding,
          .channels_last = channels_last};
}

}  // namespace

WeightStore::WeightStore(const CheckpointFiles& files, const ModelConfig& config) {
  const StoredTensors found = read_stored_tensors(files);
  const std::vector<ExpectedTensor> expected = expected_tensors(config);
  check_names(files, found, expected);
  bool first_is_channels_last = false;
  for (const ExpectedTensor& tensor : expected) {
    const auto entry = found.tensors.find(tensor.name);
    if (entry == found.tensors.end()) continue;  // optional, or check_names would have thrown
    HostTensor host = checked(files, entry->second, tensor, config, first_is_channels_last);
    first_is_channels_last = first_is_channels_last || host.channels_last;
    if (entry->second.layout != NameLayout::kBare) name_layout_ = entry->second.layout;
    if (tensor.optional) continue;
    index_.emplace(tensor.name, tensors_.size());
    tensors_.push_back(std::move(host));
  }
  is_gguf_ = found.is_gguf;
  n_shards_ = static_cast<int>(found.files.size());
  n_stored_ = found.n_stored;
  for (const CheckpointFile* file : found.files) shard_bytes_ += file->bytes.size();
}

const HostTensor& WeightStore::tensor(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  QASR_CHECK_MSG(found != index_.end(), "no tensor " + std::string(name));
  return tensors_[found->second];
}

bool WeightStore::contains(std::string_view name) const { return index_.contains(std::string(name)); }

}  // namespace qasr
