// The safetensors container: what the writer writes the reader reads, and no header makes the reader misbehave.
#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "weights/test_files.h"

namespace qasr {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::model_error;
using testing::safetensors_text;
using testing::TempDir;
using testing::to_bytes;

std::vector<StoredTensor> read(std::string_view text) {
  return read_safetensors({reinterpret_cast<const std::byte*>(text.data()), text.size()}, "dir/x.safetensors");
}

std::string read_error(const std::string& text) {
  const std::string message = model_error([&] { read(text); });
  EXPECT_THAT(message, HasSubstr("dir/x.safetensors"));
  return message;
}

// The error for a header whose data area has `n_data` bytes.
std::string header_error(const std::string& header, std::size_t n_data) {
  return read_error(safetensors_text(header, n_data));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirBytes) {
  const std::string text =
      safetensors_text(R"({"__metadata__":{"format":"pt"},"b":)" + entry("BF16", "[2,3]", "[8,20]") + R"(,"a":)" +
                           entry("F32", "[2]", "[0,8]") + R"(,"scalar":)" + entry("I64", "[]", "[20,28]") + "}  ",
                       28);
  const std::vector<StoredTensor> tensors = read(text);
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].dtype, DType::kF32);
  EXPECT_THAT(tensors[0].dims, ElementsAre(2));
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_EQ(tensors[1].dtype, DType::kBf16);
  EXPECT_THAT(tensors[1].dims, ElementsAre(2, 3));
  EXPECT_EQ(tensors[1].bytes.size(), 12u);
  EXPECT_EQ(tensors[1].bytes.data(), tensors[0].bytes.data() + 8);
  EXPECT_EQ(tensors[2].dtype, std::nullopt);  // readable, but nothing the engine computes with
  EXPECT_EQ(tensors[2].dtype_text, "I64");
  EXPECT_TRUE(tensors[2].dims.empty());
}

TEST(Safetensors, AcceptsNoTensorsAndEmptyOnes) {
  EXPECT_TRUE(read(safetensors_text("{}", 0)).empty());
  const std::string text =
      safetensors_text(R"({"a":)" + entry("F32", "[0,7]", "[0,0]") + R"(,"b":)" + entry("U8", "[3]", "[0,3]") + "}", 3);
  EXPECT_EQ(read(text).size(), 2u);
}

TEST(Safetensors, UnknownDtypesAreKeptWithTheirRange) {
  const std::vector<StoredTensor> tensors = read(safetensors_text(R"({"a":)" + entry("F4", "[6]", "[0,3]") + "}", 3));
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].dtype, std::nullopt);
  EXPECT_EQ(tensors[0].bytes.size(), 3u);
}

TEST(Safetensors, FilesThatAreTooShortOrOfAnotherKind) {
  EXPECT_THAT(read_error(""), HasSubstr("0 bytes long, expected a safetensors file"));
  EXPECT_THAT(read_error("abc"), HasSubstr("3 bytes long"));
  EXPECT_THAT(read_error("GGUF\3 and a lot of other things"), HasSubstr("not a safetensors file, or truncated"));
  EXPECT_THAT(read_error(std::string(100, '\0')), HasSubstr("declares a header of 0 bytes"));
}

TEST(Safetensors, HeaderLengthBeyondTheFileOrTheLimit) {
  std::string text = safetensors_text("{}", 0);
  text[0] = 3;
  EXPECT_THAT(read_error(text), HasSubstr("declares a header of 3 bytes, expected 2 to 2"));
  for (int i = 0; i < 8; ++i) text[static_cast<std::size_t>(i)] = '\xff';
  EXPECT_THAT(read_error(text), HasSubstr("18446744073709551615"));
  text = safetensors_text("{}", 0);
  std::reverse(text.begin(), text.begin() + 8);
  EXPECT_THAT(read_error(text), HasSubstr("header is big-endian, expected little-endian"));
  const std::string long_header(100'000'001, ' ');
  EXPECT_THAT(header_error(long_header, 0), HasSubstr("expected 2 to 100000000"));
}

TEST(Safetensors, BrokenJson) {
  EXPECT_THAT(header_error("{\"a\":", 0), AllOf(HasSubstr("broken JSON"), HasSubstr("column")));
  EXPECT_THAT(header_error("[1, 2]", 0), HasSubstr("the top level is an array, expected an object"));
  EXPECT_THAT(header_error("{\"a\": 1}", 0), HasSubstr("tensor a is the number 1, expected an object"));
  EXPECT_THAT(header_error("{} {}", 0), HasSubstr("broken JSON"));
  EXPECT_THAT(header_error("{\"\xff\": 1}", 0), HasSubstr("broken JSON"));
  EXPECT_THAT(header_error("{\"a\": 1e999}", 0), HasSubstr("broken JSON"));
}

TEST(Safetensors, DeepNestingAndDuplicateKeys) {
  EXPECT_THAT(header_error(std::string(1'000'000, '['), 0), HasSubstr("nested deeper than 64"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  EXPECT_THAT(header_error(deep, 0), HasSubstr("nested deeper than 64"));
  const std::string one = "\"a\":" + entry("U8", "[1]", "[0,1]");
  EXPECT_THAT(header_error("{" + one + "," + one + "}", 1), HasSubstr("\"a\" appears twice"));
}

TEST(Safetensors, EntriesWithMissingOrMistypedMembers) {
  EXPECT_THAT(header_error(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), HasSubstr("tensor a.dtype is missing"));
  EXPECT_THAT(header_error(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1),
              HasSubstr("tensor a.dtype is the number 7, expected a string"));
  EXPECT_THAT(header_error(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), HasSubstr("tensor a.shape is missing"));
  EXPECT_THAT(header_error(R"({"a":{"dtype":"U8","shape":[1]}})", 1), HasSubstr("tensor a.data_offsets is missing"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "1", "[0,1]") + "}", 1), HasSubstr("expected an array of integers"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[-1]", "[0,1]") + "}", 1),
              HasSubstr("an array with the number -1"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[1.0]", "[0,1]") + "}", 1), HasSubstr("the number 1.0"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[\"1\"]", "[0,1]") + "}", 1), HasSubstr("the string \"1\""));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[1]", "[0]") + "}", 1), HasSubstr("array of two integers"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[1]", "[-1,0]") + "}", 1), HasSubstr("the number -1"));
}

TEST(Safetensors, RangesThatAreWrong) {
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[4]", "[0,4]") + "}", 3),
              AllOf(HasSubstr("tensor a has data_offsets [0, 4]"), HasSubstr("within the 3 bytes of data: truncated")));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[4]", "[4,0]") + "}", 8), HasSubstr("[4, 0], expected a range"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[4]", "[9223372036854775804,9223372036854775807]") + "}", 8),
              HasSubstr("expected a range"));
  EXPECT_THAT(header_error("{\"a\":" + entry("U8", "[4]", "[0,18446744073709551615]") + "}", 8),
              HasSubstr("an array with the number 18446744073709551615"));
  EXPECT_THAT(header_error("{\"a\":" + entry("BF16", "[2,3]", "[0,24]") + "}", 24),
              HasSubstr("that is 24 bytes, expected 12 for BF16 [2, 3]"));
}

TEST(Safetensors, SizesThatOverflow) {
  EXPECT_THAT(header_error("{\"a\":" + entry("F32", "[4294967296,4294967296]", "[0,0]") + "}", 0),
              HasSubstr("expected more than 2^63"));
  // 2^62 elements of 4 bytes are 0 modulo 2^64.
  EXPECT_THAT(header_error("{\"a\":" + entry("F32", "[4611686018427387904]", "[0,0]") + "}", 0),
              HasSubstr("expected more than 2^63"));
}

TEST(Safetensors, OverlapsAndGaps) {
  const auto two = [](const char* first, const char* second) {
    return "{\"a\":" + entry("U8", "[4]", first) + ",\"b\":" + entry("U8", "[4]", second) + "}";
  };
  EXPECT_THAT(header_error(two("[0,4]", "[2,6]"), 6), HasSubstr("tensor b overlaps tensor a by 2 bytes"));
  EXPECT_THAT(header_error(two("[0,4]", "[0,4]"), 4), HasSubstr("overlaps"));
  EXPECT_THAT(header_error(two("[0,4]", "[5,9]"), 9), HasSubstr("1 bytes before tensor b belong to no tensor"));
  EXPECT_THAT(header_error(two("[1,5]", "[5,9]"), 9), HasSubstr("1 bytes before tensor a belong to no tensor"));
  EXPECT_THAT(header_error(two("[0,4]", "[4,8]"), 11), HasSubstr("3 bytes at the end belong to no tensor"));
}

std::vector<HostTensor> sample_tensors(const std::vector<std::byte>& bytes) {
  const std::span<const std::byte> all(bytes);
  return {{.name = "w", .dtype = DType::kBf16, .shape = {3, 5}, .bytes = all.first(30)},
          {.name = "quote\" \xc3\xa9", .dtype = DType::kI8, .shape = {7}, .bytes = all.subspan(30, 7)},
          {.name = "empty", .dtype = DType::kF32, .shape = {0, 2}, .bytes = {}},
          {.name = "conv", .dtype = DType::kF32, .shape = {2, 1, 3, 3}, .bytes = all.subspan(37, 72)}};
}

TEST(Safetensors, WriterAndReaderAgree) {
  std::vector<std::byte> bytes(109);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
  const std::vector<HostTensor> tensors = sample_tensors(bytes);
  const TempDir dir;
  write_safetensors(dir.path() / "x.safetensors", tensors);
  const MappedFile file(dir.path() / "x.safetensors");
  const std::vector<StoredTensor> stored = read_safetensors(file.bytes(), "x.safetensors");
  ASSERT_EQ(stored.size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto found =
        std::find_if(stored.begin(), stored.end(), [&](const auto& t) { return t.name == tensors[i].name; });
    ASSERT_NE(found, stored.end()) << tensors[i].name;
    EXPECT_EQ(found->dtype, tensors[i].dtype);
    ASSERT_EQ(static_cast<int>(found->dims.size()), tensors[i].shape.rank());
    for (int axis = 0; axis < tensors[i].shape.rank(); ++axis) {
      EXPECT_EQ(found->dims[static_cast<std::size_t>(axis)], tensors[i].shape[axis]);
    }
    EXPECT_TRUE(std::equal(found->bytes.begin(), found->bytes.end(), tensors[i].bytes.begin(), tensors[i].bytes.end()));
  }
  EXPECT_EQ((stored.front().bytes.data() - file.bytes().data()) % 64, 0);
}

TEST(Safetensors, WriterTakesPiecesInAnyOrderAndShowsOnlyWholeFiles) {
  const std::vector<HostTensor> layout = {{.name = "a", .dtype = DType::kU8, .shape = {4}, .bytes = {}},
                                          {.name = "b", .dtype = DType::kU8, .shape = {2}, .bytes = {}}};
  const TempDir dir;
  const std::filesystem::path path = dir.path() / "x.safetensors";
  {
    SafetensorsWriter writer(path, layout);
    writer.write(1, 0, to_bytes("yz"));
    writer.write(0, 2, to_bytes("cd"));
    EXPECT_THROW(writer.finish(), Error);  // two bytes of tensor a are missing
    EXPECT_THROW(writer.write(1, 1, to_bytes("yz")), Error);
    EXPECT_FALSE(std::filesystem::exists(path));
    writer.write(0, 0, to_bytes("ab"));
    writer.finish();
  }
  const MappedFile file(path);
  const std::vector<StoredTensor> stored = read_safetensors(file.bytes(), "x");
  EXPECT_EQ(std::memcmp(stored[0].bytes.data(), "abcdyz", 6), 0);
  { SafetensorsWriter abandoned(dir.path() / "y.safetensors", layout); }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(Safetensors, WriterReportsWhatItCannotWrite) {
  const TempDir dir;
  EXPECT_THAT(model_error([&] { write_safetensors(dir.path() / "no" / "x", {}); }), HasSubstr("cannot write"));
  std::filesystem::create_directories(dir.path() / "x" / "y");
  EXPECT_THAT(model_error([&] { write_safetensors(dir.path() / "x", {}); }), HasSubstr("cannot write"));
}

// Random damage to the header of a valid file: an Error or a result whose tensors lie inside the file.
TEST(Safetensors, DamagedHeadersNeverCrash) {
  std::vector<std::byte> bytes(109);
  std::string text = safetensors_header(sample_tensors(bytes));
  const std::size_t header_size = text.size();
  text.append(bytes.size(), '\2');
  std::mt19937 random(20260701);
  int n_errors = 0;
  constexpr int kRounds = 5000;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = text;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
      damaged[random() % header_size] = static_cast<char>(random());
    }
    if (round % 10 == 0) damaged.resize(random() % damaged.size());
    try {
      const char* end = damaged.data() + damaged.size();
      for (const StoredTensor& tensor : read(damaged)) {
        const char* begin = reinterpret_cast<const char*>(tensor.bytes.data());
        ASSERT_TRUE(begin >= damaged.data() && begin + tensor.bytes.size() <= end);
      }
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kModel) << error.what();
      ++n_errors;
    }
  }
  EXPECT_GT(n_errors, kRounds / 4);
}

}  // namespace
}  // namespace qasr
