// Reading side of safetensors.h.
#include "weights/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "qasr/error.h"
#include "weights/dims_text.h"
#include "weights/json_reader.h"

namespace qasr {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct StoredType {
  std::string_view text;
  std::int64_t bytes;
  std::optional<DType> dtype;
};

// Every type of the format whose elements are whole bytes.
constexpr std::array kStoredTypes = {
    StoredType{"BF16", 2, DType::kBf16},    StoredType{"F16", 2, DType::kF16},
    StoredType{"F32", 4, DType::kF32},      StoredType{"U32", 4, DType::kU32},
    StoredType{"I32", 4, DType::kI32},      StoredType{"U8", 1, DType::kU8},
    StoredType{"I8", 1, DType::kI8},        StoredType{"BOOL", 1, std::nullopt},
    StoredType{"F8_E4M3", 1, std::nullopt}, StoredType{"F8_E5M2", 1, std::nullopt},
    StoredType{"F8_E8M0", 1, std::nullopt}, StoredType{"I16", 2, std::nullopt},
    StoredType{"U16", 2, std::nullopt},     StoredType{"F64", 8, std::nullopt},
    StoredType{"I64", 8, std::nullopt},     StoredType{"U64", 8, std::nullopt},
    StoredType{"C64", 8, std::nullopt},
};

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kModel, "cannot read " + where + ": " + what);
}

// The header's JSON text. Throws unless its declared length is plausible and lies in the file.
std::string_view header_text(std::span<const std::byte> file, const std::string& where) {
  if (file.size() < 8) fail(where, std::to_string(file.size()) + " bytes long, expected a safetensors file");
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  const std::size_t available = std::min(file.size() - 8, kMaxHeaderBytes);
  const std::uint64_t swapped = __builtin_bswap64(length);
  if (swapped >= 2 && swapped <= available && file[8] == std::byte{'{'} && length > available) {
    fail(where, "the length of its header is big-endian, expected little-endian");
  }
  if (length < 2 || length > available) {
    fail(where, "declares a header of " + std::to_string(length) + " bytes, expected 2 to " +
                    std::to_string(available) + " (a file of " + std::to_string(file.size()) +
                    " bytes): not a safetensors file, or truncated");
  }
  return {reinterpret_cast<const char*>(file.data()) + 8, static_cast<std::size_t>(length)};
}

// An array of `n` (any number if n < 0) integers >= 0.
std::vector<std::int64_t> integers(const JsonObject& entry, const char* key, int n) {
  const std::string expected = n < 0 ? "an array of integers >= 0" : "an array of two integers >= 0";
  const json* array = entry.find(key);
  if (array == nullptr) entry.fail(key, "missing", expected);
  if (!array->is_array() || (n >= 0 && array->size() != static_cast<std::size_t>(n))) {
    entry.fail(key, describe_json(*array), expected);
  }
  std::vector<std::int64_t> values;
  for (const json& element : *array) {
    if (!element.is_number_unsigned() || element.get<std::uint64_t>() > INT64_MAX) {
      entry.fail(key, "an array with " + describe_json(element), expected);
    }
    values.push_back(element.get<std::int64_t>());
  }
  return values;
}

// Bytes that a tensor of these dimensions needs, or nothing if 64 bits cannot say it.
std::optional<std::int64_t> bytes_needed(const std::vector<std::int64_t>& dims, std::int64_t element_bytes) {
  std::int64_t product = element_bytes;
  for (std::int64_t dim : dims) {
    if (__builtin_mul_overflow(product, dim, &product)) return std::nullopt;
  }
  return product;
}

StoredTensor read_entry(const std::string& name, const json& value, std::span<const std::byte> data,
                        const std::string& where) {
  const JsonObject entry(value, where, "tensor " + name);
  StoredTensor tensor{.name = name,
                      .dtype_text = entry.string_or("dtype", ""),
                      .dtype = {},
                      .dims = {},
                      .bytes = {},
                      .encoding = Encoding::kPlain};
  if (tensor.dtype_text.empty()) entry.fail("dtype", "missing", "a string such as \"BF16\"");
  tensor.dims = integers(entry, "shape", -1);
  const std::vector<std::int64_t> offsets = integers(entry, "data_offsets", 2);
  const std::int64_t begin = offsets[0], end = offsets[1], limit = static_cast<std::int64_t>(data.size());
  const std::string range = "data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) + "]";
  if (begin > end || end > limit) {
    fail(where, "tensor " + name + " has " + range + ", expected a range within the " + std::to_string(limit) +
                    " bytes of data: truncated, or the header is wrong");
  }
  const auto type = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                 [&](const StoredType& candidate) { return candidate.text == tensor.dtype_text; });
  if (type != kStoredTypes.end()) {
    tensor.dtype = type->dtype;
    const std::optional<std::int64_t> needed = bytes_needed(tensor.dims, type->bytes);
    if (needed != end - begin) {
      fail(where, "tensor " + name + " has " + range + ", that is " + std::to_string(end - begin) +
                      " bytes, expected " + (needed ? std::to_string(*needed) : "more than 2^63") + " for " +
                      tensor.dtype_text + " " + dims_text(tensor.dims));
    }
  }
  tensor.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  return tensor;
}

// Tensors sorted by position: none may begin before the one before it ends, and the format allows no gaps.
void check_coverage(const std::vector<StoredTensor>& tensors, std::span<const std::byte> data,
                    const std::string& where) {
  const std::byte* expected = data.data();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::byte* begin = tensors[i].bytes.data();
    if (begin < expected) {
      fail(where, "tensor " + tensors[i].name + " overlaps tensor " + tensors[i - 1].name + " by " +
                      std::to_string(expected - begin) + " bytes");
    }
    if (begin > expected) {
      fail(where, std::to_string(begin - expected) + " bytes before tensor " + tensors[i].name +
                      " belong to no tensor, expected tensors without gaps");
    }
    expected = begin + tensors[i].bytes.size();
  }
  const std::byte* end = data.data() + data.size();
  if (expected != end) {
    fail(where,
         std::to_string(end - expected) + " bytes at the end belong to no tensor, expected tensors without gaps");
  }
}

}  // namespace

std::vector<StoredTensor> read_safetensors(std::span<const std::byte> file, const std::string& where) {
  const std::string_view text = header_text(file, where);
  const std::span<const std::byte> data = file.subspan(8 + text.size());
  const json header = parse_json(text, where);
  const JsonObject root(header, where);  // throws unless an object
  std::vector<StoredTensor> tensors;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") tensors.push_back(read_entry(name, value, data, where));
  }
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  check_coverage(tensors, data, where);
  return tensors;
}

}  // namespace qasr
