// See gguf.h. A cursor that cannot leave the file, then metadata, tensor list, positions.
#include "weights/gguf.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include "qasr/error.h"
#include "tensor/ggml_blocks.h"

namespace qasr {
namespace {

constexpr std::uint64_t kMaxDims = 4, kMaxAlignment = 1 << 20, kMaxNameBytes = 1 << 16;
constexpr std::uint32_t kStringType = 8, kArrayType = 9;

struct TensorType {
  std::uint32_t id;
  std::string_view name;
  std::optional<Encoding> encoding;  // none: not supported
  DType dtype = DType::kF32;         // of plain ones
};

constexpr std::array kTensorTypes = {
    TensorType{0, "F32", Encoding::kPlain, DType::kF32},
    TensorType{1, "F16", Encoding::kPlain, DType::kF16},
    TensorType{30, "BF16", Encoding::kPlain, DType::kBf16},
    TensorType{2, "Q4_0", Encoding::kQ4_0},
    TensorType{3, "Q4_1", Encoding::kQ4_1},
    TensorType{6, "Q5_0", Encoding::kQ5_0},
    TensorType{7, "Q5_1", Encoding::kQ5_1},
    TensorType{8, "Q8_0", Encoding::kQ8_0},
    TensorType{12, "Q4_K", Encoding::kQ4K},
    TensorType{13, "Q5_K", Encoding::kQ5K},
    TensorType{14, "Q6_K", Encoding::kQ6K},
    TensorType{9, "Q8_1", {}},
    TensorType{10, "Q2_K", {}},
    TensorType{11, "Q3_K", {}},
    TensorType{15, "Q8_K", {}},
    TensorType{16, "IQ2_XXS", {}},
    TensorType{17, "IQ2_XS", {}},
    TensorType{18, "IQ3_XXS", {}},
    TensorType{19, "IQ1_S", {}},
    TensorType{20, "IQ4_NL", {}},
    TensorType{21, "IQ3_S", {}},
    TensorType{22, "IQ2_S", {}},
    TensorType{23, "IQ4_XS", {}},
    TensorType{24, "I8", {}},
    TensorType{25, "I16", {}},
    TensorType{26, "I32", {}},
    TensorType{27, "I64", {}},
    TensorType{28, "F64", {}},
    TensorType{29, "IQ1_M", {}},
    TensorType{34, "TQ1_0", {}},
    TensorType{35, "TQ2_0", {}},
    TensorType{39, "MXFP4", {}},
};

// Bytes of a metadata value of fixed size; 0: string, array or unknown.
std::size_t value_bytes(std::uint32_t type) {
  constexpr std::array<std::size_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < kBytes.size() ? kBytes[type] : 0;
}

template <typename T>
T read_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

GgufFile::Value fixed_value(std::uint32_t type, const std::byte* at) {
  switch (type) {
    case 0:
      return std::uint64_t{read_as<std::uint8_t>(at)};
    case 1:
      return std::int64_t{read_as<std::int8_t>(at)};
    case 2:
      return std::uint64_t{read_as<std::uint16_t>(at)};
    case 3:
      return std::int64_t{read_as<std::int16_t>(at)};
    case 4:
      return std::uint64_t{read_as<std::uint32_t>(at)};
    case 5:
      return std::int64_t{read_as<std::int32_t>(at)};
    case 6:
      return double{read_as<float>(at)};
    case 7:
      return read_as<std::uint8_t>(at) != 0;
    case 10:
      return read_as<std::uint64_t>(at);
    case 11:
      return read_as<std::int64_t>(at);
    default:
      return read_as<double>(at);
  }
}

}  // namespace

class GgufParser {
 public:
  explicit GgufParser(GgufFile& out) : out_(out), rest_(out.file_) {}

  void parse() {
    const std::uint64_t n_tensors = read_counts();
    for (std::uint64_t i = 0; i < n_pairs_; ++i) read_pair();
    std::vector<Pending> pending;
    std::unordered_set<std::string> names;
    for (std::uint64_t i = 0; i < n_tensors; ++i) {
      pending.push_back(read_tensor());
      if (!names.insert(pending.back().tensor.name).second)
        fail("tensor " + pending.back().tensor.name + " appears twice");
    }
    place(std::move(pending));
  }

 private:
  struct Pending {
    StoredTensor tensor;
    std::uint64_t offset = 0, bytes = 0;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kModel, "cannot read " + out_.where_ + ": " + what);
  }

  std::span<const std::byte> take(std::uint64_t n_bytes, const char* what) {
    if (n_bytes > rest_.size()) {
      fail(std::string("the file ends inside ") + what + ": " + std::to_string(n_bytes) + " bytes wanted at byte " +
           std::to_string(out_.file_.size() - rest_.size()) + ", " + std::to_string(rest_.size()) +
           " are left: truncated, or the header is wrong");
    }
    const auto taken = rest_.first(static_cast<std::size_t>(n_bytes));
    rest_ = rest_.subspan(static_cast<std::size_t>(n_bytes));
    return taken;
  }
  template <typename T>
  T number(const char* what) {
    return read_as<T>(take(sizeof(T), what).data());
  }
  std::string_view text(const char* what) {
    const auto bytes = take(number<std::uint64_t>(what), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::string name(const char* what) {
    const std::string_view found = text(what);
    if (found.empty() || found.size() > kMaxNameBytes) {
      fail(std::string(what) + " of " + std::to_string(found.size()) + " bytes, expected 1 to " +
           std::to_string(kMaxNameBytes));
    }
    return std::string(found);
  }

  // Number of tensors; sets n_pairs_.
  std::uint64_t read_counts() {
    const auto magic = take(4, "the magic number");
    if (std::memcmp(magic.data(), "GGUF", 4) != 0) fail("does not begin with GGUF");
    const auto version = number<std::uint32_t>("the version");
    if (version == 0x02000000u || version == 0x03000000u) fail("a big-endian GGUF file, expected little-endian");
    if (version < 2 || version > 3) fail("GGUF version " + std::to_string(version) + ", expected 2 or 3");
    const auto n_tensors = number<std::uint64_t>("the number of tensors");
    n_pairs_ = number<std::uint64_t>("the number of keys");
    constexpr std::uint64_t kSmallestPair = 8 + 1 + 4 + 1, kSmallestTensor = 8 + 1 + 4 + 8 + 4 + 8;
    if (n_pairs_ > rest_.size() / kSmallestPair || n_tensors > rest_.size() / kSmallestTensor) {
      fail("declares " + std::to_string(n_pairs_) + " keys and " + std::to_string(n_tensors) +
           " tensors, more than its " + std::to_string(out_.file_.size()) + " bytes can hold");
    }
    return n_tensors;
  }

  void read_pair() {
    std::string key = name("a key");
    const auto type = number<std::uint32_t>("a type");
    GgufFile::Value value;
    if (type == kStringType) {
      value = text("a string");
    } else if (type == kArrayType) {
      value = read_array(key);
    } else if (const std::size_t bytes = value_bytes(type); bytes > 0) {
      value = fixed_value(type, take(bytes, "a value").data());
    } else {
      fail("key " + key + " has type " + std::to_string(type) + ", expected 0 to 12");
    }
    if (!out_.values_.emplace(key, std::move(value)).second) fail("key " + key + " appears twice");
    out_.keys_.push_back(std::move(key));
  }

  GgufArray read_array(const std::string& key) {
    GgufArray array;
    array.type = number<std::uint32_t>("a type");
    array.count = number<std::uint64_t>("the length of an array");
    const std::size_t bytes = value_bytes(array.type);
    if (bytes == 0 && array.type != kStringType) {
      fail("key " + key + " is an array of type " + std::to_string(array.type) + ", expected numbers or strings");
    }
    const auto before = rest_;
    if (array.count > rest_.size())
      fail("key " + key + " has " + std::to_string(array.count) + " elements, more than the file holds");
    if (bytes > 0) {
      take(array.count * bytes, "an array");
    } else {
      for (std::uint64_t i = 0; i < array.count; ++i) text("a string of an array");
    }
    array.bytes = before.first(before.size() - rest_.size());
    return array;
  }

  Pending read_tensor() {
    Pending pending;
    StoredTensor& tensor = pending.tensor;
    tensor.name = name("a tensor's name");
    const auto n_dims = number<std::uint32_t>("a tensor's rank");
    if (n_dims > kMaxDims)
      fail("tensor " + tensor.name + " has " + std::to_string(n_dims) + " dimensions, expected at most 4");
    std::uint64_t elements = 1;
    for (std::uint32_t axis = 0; axis < n_dims; ++axis) {
      const auto dim = number<std::uint64_t>("a dimension");
      if (dim > INT64_MAX || __builtin_mul_overflow(elements, dim, &elements) || elements > INT64_MAX / 8) {
        fail("tensor " + tensor.name + " has a dimension of " + std::to_string(dim) + ", too large");
      }
      tensor.dims.insert(tensor.dims.begin(), static_cast<std::int64_t>(dim));
    }
    const auto type = number<std::uint32_t>("a tensor's type");
    pending.offset = number<std::uint64_t>("a tensor's offset");
    pending.bytes = tensor_bytes(tensor, type, elements);
    return pending;
  }

  // Fills in the type.
  std::uint64_t tensor_bytes(StoredTensor& tensor, std::uint32_t id, std::uint64_t elements) const {
    const auto type = std::find_if(kTensorTypes.begin(), kTensorTypes.end(), [&](const auto& t) { return t.id == id; });
    if (type == kTensorTypes.end() || !type->encoding) {
      fail("tensor " + tensor.name + " has type " +
           (type == kTensorTypes.end() ? "number " + std::to_string(id) : std::string(type->name)) +
           ", expected F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K, Q4_0, Q4_1, Q5_0 or Q5_1");
    }
    tensor.dtype_text = type->name;
    tensor.dtype = type->dtype;
    tensor.encoding = *type->encoding;
    if (tensor.encoding == Encoding::kPlain) return elements * dtype_bytes(type->dtype);
    const GgmlBlock block = ggml_block(tensor.encoding);
    const std::int64_t cols = tensor.dims.empty() ? 1 : tensor.dims.back();
    if (cols % static_cast<std::int64_t>(block.elements) != 0) {
      fail("tensor " + tensor.name + " has rows of " + std::to_string(cols) + " elements, expected a multiple of " +
           std::to_string(block.elements) + " for " + tensor.dtype_text);
    }
    return elements / block.elements * block.bytes;
  }

  void place(std::vector<Pending> pending) {
    const std::int64_t alignment = out_.integer("general.alignment", 1, kMaxAlignment).value_or(32);
    if (alignment % 8 != 0) fail("general.alignment is " + std::to_string(alignment) + ", expected a multiple of 8");
    const std::size_t used = out_.file_.size() - rest_.size(), step = static_cast<std::size_t>(alignment);
    out_.header_bytes_ = std::min((used + step - 1) / step * step, out_.file_.size());
    const std::span<const std::byte> data = out_.file_.subspan(out_.header_bytes_);
    for (Pending& entry : pending) {
      const std::string range = std::to_string(entry.bytes) + " bytes at offset " + std::to_string(entry.offset);
      if (entry.offset % step != 0)
        fail("tensor " + entry.tensor.name + " has " + range + ", not a multiple of the alignment " +
             std::to_string(step));
      if (entry.offset > data.size() || entry.bytes > data.size() - entry.offset) {
        fail("tensor " + entry.tensor.name + " has " + range + ", expected a range within the " +
             std::to_string(data.size()) + " bytes of data: truncated, or the header is wrong");
      }
      entry.tensor.bytes = data.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.bytes));
    }
    std::sort(pending.begin(), pending.end(), [](const Pending& a, const Pending& b) {
      return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
    });
    for (std::size_t i = 1; i < pending.size(); ++i) {
      if (pending[i - 1].offset + pending[i - 1].bytes > pending[i].offset) {
        fail("tensor " + pending[i].tensor.name + " overlaps tensor " + pending[i - 1].tensor.name);
      }
    }
    for (Pending& entry : pending) out_.tensors_.push_back(std::move(entry.tensor));
  }

  GgufFile& out_;
  std::span<const std::byte> rest_;
  std::uint64_t n_pairs_ = 0;
};

GgufFile::GgufFile(std::span<const std::byte> file, std::string where) : file_(file), where_(std::move(where)) {
  GgufParser(*this).parse();
}

const GgufFile::Value* GgufFile::find(std::string_view key) const {
  const auto found = values_.find(std::string(key));
  return found == values_.end() ? nullptr : &found->second;
}

void GgufFile::fail_type(std::string_view key, const char* expected) const {
  throw Error(ErrorCode::kModel, "cannot read " + where_ + ": key " + std::string(key) + " is not " + expected);
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const Value* value = find(key);
  if (value == nullptr) return {};
  std::int64_t found = 0;
  if (const auto* number = std::get_if<std::uint64_t>(value)) {
    found = *number > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(*number);
  } else if (const auto* signed_number = std::get_if<std::int64_t>(value)) {
    found = *signed_number;
  } else {
    fail_type(key, "an integer");
  }
  if (found < low || found > high) {
    throw Error(ErrorCode::kModel, "cannot read " + where_ + ": key " + std::string(key) + " is " +
                                       std::to_string(found) + ", expected an integer from " + std::to_string(low) +
                                       " to " + std::to_string(high));
  }
  return found;
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return {};
  if (const auto* real = std::get_if<double>(value)) return *real;
  if (const auto* whole = std::get_if<std::uint64_t>(value)) return static_cast<double>(*whole);
  if (const auto* signed_number = std::get_if<std::int64_t>(value)) return static_cast<double>(*signed_number);
  fail_type(key, "a number");
}

std::string GgufFile::text_or(std::string_view key, const std::string& fallback) const {
  const Value* value = find(key);
  if (value == nullptr) return fallback;
  const auto* text = std::get_if<std::string_view>(value);
  if (text == nullptr) fail_type(key, "a string");
  return std::string(*text);
}

bool GgufFile::each_string(std::string_view key, const std::function<void(std::string_view)>& visit) const {
  const Value* value = find(key);
  if (value == nullptr) return false;
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr || array->type != kStringType) fail_type(key, "an array of strings");
  const std::byte* at = array->bytes.data();  // lengths were checked by the parser
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto length = static_cast<std::size_t>(read_as<std::uint64_t>(at));
    visit({reinterpret_cast<const char*>(at) + 8, length});
    at += 8 + length;
  }
  return true;
}

std::vector<std::int64_t> GgufFile::integers(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return {};
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr || array->type == kStringType || array->type == 6 || array->type == 12)
    fail_type(key, "an array of integers");
  std::vector<std::int64_t> result;
  const std::size_t step = value_bytes(array->type);
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const Value element = fixed_value(array->type, array->bytes.data() + i * step);
    if (const auto* whole = std::get_if<std::uint64_t>(&element)) {
      result.push_back(static_cast<std::int64_t>(*whole));
    } else if (const auto* signed_number = std::get_if<std::int64_t>(&element)) {
      result.push_back(*signed_number);
    } else {
      result.push_back(std::get<bool>(element) ? 1 : 0);
    }
  }
  return result;
}

}  // namespace qasr
