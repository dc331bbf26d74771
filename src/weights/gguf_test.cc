// The GGUF container: what a valid file says, and every way one can lie.
#include "weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/test_files.h"

namespace qasr {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::model_error;

// Builds a file field by field.
class Builder {
 public:
  template <typename T>
  Builder& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Builder& string(std::string_view text) {
    put(std::uint64_t{text.size()});
    text_.append(text);
    return *this;
  }
  Builder& begin(std::uint64_t n_tensors, std::uint64_t n_pairs, std::uint32_t version = 3) {
    text_ = "GGUF";
    return put(version).put(n_tensors).put(n_pairs);
  }
  Builder& tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset) {
    string(name).put(static_cast<std::uint32_t>(dims.size()));
    for (std::uint64_t dim : dims) put(dim);
    return put(type).put(offset);
  }
  Builder& data(std::size_t n_bytes) {
    text_.resize((text_.size() + 31) / 32 * 32 + n_bytes, '\1');
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

GgufFile parse(const std::string& text) {
  static std::vector<std::string> kept;  // GgufFile borrows
  kept.push_back(text);
  return GgufFile(std::as_bytes(std::span(kept.back())), "F");
}
std::string error_of(const std::string& text) {
  return model_error([&] { parse(text); });
}
std::string error_of(const Builder& builder) { return error_of(builder.text()); }

TEST(Gguf, ReadsMetadataAndTensors) {
  Builder file;
  file.begin(2, 5, 2);
  file.string("general.architecture").put(8u).string("qwen3asr");
  file.string("n").put(4u).put(7u);
  file.string("x").put(6u).put(0.5f);
  file.string("ids").put(9u).put(5u).put(std::uint64_t{2}).put(-1).put(9);
  file.string("tokens").put(9u).put(8u).put(std::uint64_t{2}).string("a").string("");
  file.tensor("b", {2, 3}, 1, 64).tensor("a", {32}, 8, 0).data(96);
  const GgufFile gguf = parse(file.text());
  EXPECT_EQ(gguf.architecture(), "qwen3asr");
  EXPECT_EQ(gguf.integer("n", 0, 10), 7);
  EXPECT_EQ(gguf.number("x"), 0.5);
  EXPECT_EQ(gguf.integer("absent", 0, 1), std::nullopt);
  EXPECT_EQ(gguf.integers("ids"), (std::vector<std::int64_t>{-1, 9}));
  std::vector<std::string> tokens;
  EXPECT_TRUE(gguf.each_string("tokens", [&](std::string_view token) { tokens.emplace_back(token); }));
  EXPECT_EQ(tokens, (std::vector<std::string>{"a", ""}));
  EXPECT_THAT(model_error([&] { gguf.integer("n", 0, 6); }), AllOf(HasSubstr("key n is 7"), HasSubstr("0 to 6")));
  EXPECT_THAT(model_error([&] { gguf.integer("general.architecture", 0, 6); }), HasSubstr("not an integer"));
}

TEST(Gguf, SortsTensorsByPositionAndReversesDimensions) {
  const GgufFile gguf = parse(Builder().begin(2, 0).tensor("b", {2, 3}, 1, 64).tensor("a", {32}, 8, 0).data(96).text());
  ASSERT_EQ(gguf.tensors().size(), 2u);
  EXPECT_EQ(gguf.tensors()[0].name, "a");
  EXPECT_EQ(gguf.tensors()[0].bytes.size(), 34u);
  EXPECT_EQ(gguf.tensors()[1].dims, (std::vector<std::int64_t>{3, 2}));
}

TEST(Gguf, RefusesWhatIsNoGgufOfThisKind) {
  EXPECT_THAT(error_of("GGML"), HasSubstr("does not begin with GGUF"));
  EXPECT_THAT(error_of("GG"), HasSubstr("ends inside the magic number"));
  EXPECT_THAT(error_of(Builder().begin(0, 0, 1)), HasSubstr("version 1, expected 2 or 3"));
  EXPECT_THAT(error_of(Builder().begin(0, 0, 0x03000000)), HasSubstr("big-endian"));
}

TEST(Gguf, RefusesCountsBeyondTheFileBeforeAllocating) {
  EXPECT_THAT(error_of(Builder().begin(std::uint64_t{1} << 60, 0)), HasSubstr("more than its 24 bytes can hold"));
  EXPECT_THAT(error_of(Builder().begin(0, std::uint64_t{1} << 60)), HasSubstr("more than its 24 bytes can hold"));
  EXPECT_THAT(error_of(Builder().begin(0, 1).put(UINT64_MAX).put(0).put(0)), HasSubstr("ends inside a key"));
  Builder array;
  array.begin(0, 1).string("k").put(9u).put(8u).put(std::uint64_t{1} << 40);
  EXPECT_THAT(error_of(array), AllOf(HasSubstr("key k"), HasSubstr("more than the file holds")));
}

TEST(Gguf, RefusesLiesAboutTensors) {
  const auto one = [](std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset, std::size_t data) {
    return error_of(Builder().begin(1, 0).tensor("t", std::move(dims), type, offset).data(data));
  };
  EXPECT_THAT(one({8}, 0, 0, 16),
              AllOf(HasSubstr("tensor t"), HasSubstr("32 bytes at offset 0"), HasSubstr("16 bytes of data")));
  EXPECT_THAT(one({8}, 0, UINT64_MAX - 31, 32), HasSubstr("expected a range within"));
  EXPECT_THAT(one({8}, 0, 7, 64), HasSubstr("not a multiple of the alignment 32"));
  EXPECT_THAT(one({std::uint64_t{1} << 33, std::uint64_t{1} << 33}, 0, 0, 32), HasSubstr("too large"));
  EXPECT_THAT(one({1, 1, 1, 1, 1}, 0, 0, 32), HasSubstr("5 dimensions"));
  EXPECT_THAT(one({40}, 8, 0, 64), AllOf(HasSubstr("rows of 40"), HasSubstr("multiple of 32 for Q8_0")));
  EXPECT_THAT(one({256}, 10, 0, 96), AllOf(HasSubstr("type Q2_K"), HasSubstr("expected F32")));
  EXPECT_THAT(one({256}, 99, 0, 96), HasSubstr("type number 99"));
}

TEST(Gguf, RefusesDuplicatesAndOverlaps) {
  EXPECT_THAT(error_of(Builder().begin(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32).data(64)),
              HasSubstr("tensor t appears twice"));
  EXPECT_THAT(error_of(Builder().begin(2, 0).tensor("t", {9}, 0, 0).tensor("u", {8}, 0, 32).data(64)),
              HasSubstr("tensor u overlaps tensor t"));
  Builder keys;
  keys.begin(0, 2).string("k").put(4u).put(1u).string("k").put(4u).put(1u);
  EXPECT_THAT(error_of(keys), HasSubstr("key k appears twice"));
  Builder type;
  type.begin(0, 1).string("k").put(13u).put(std::uint64_t{0});
  EXPECT_THAT(error_of(type), HasSubstr("has type 13"));
  Builder nested;
  nested.begin(0, 1).string("k").put(9u).put(9u).put(std::uint64_t{1}).put(std::uint64_t{0});
  EXPECT_THAT(error_of(nested), HasSubstr("array of type 9"));
}

TEST(Gguf, EveryTruncationIsRefused) {
  Builder file;
  file.begin(1, 2).string("a").put(8u).string("text").string("b").put(9u).put(8u).put(std::uint64_t{1}).string("x");
  file.tensor("t", {8}, 0, 0).data(32);
  parse(file.text());
  for (std::size_t length = 0; length < file.text().size(); ++length) {
    EXPECT_THROW(parse(file.text().substr(0, length)), Error) << length;
  }
}

}  // namespace
}  // namespace qasr
