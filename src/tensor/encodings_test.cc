// Encodings of other programs' files: bit streams against golden bytes, ranges of blocks, what counts as held as it is.
// That values equal those of the official packages is weights/formats_test.cc, which reads files they wrote.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/affine_groups.h"
#include "tensor/ggml_blocks.h"
#include "tensor/stored_blocks.h"
#include "tensor/widen.h"

namespace qasr {
namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// Golden bytes: the specification of MLX's packing.
TEST(BitStreams, GoldenBytes) {
  const std::vector<std::byte> four = bytes_of({0x10, 0x32, 0x54, 0x76}),
                               five = bytes_of({0x20, 0x88, 0x41, 0x8a, 0x39});
  std::vector<std::uint8_t> q(8), expected = {0, 1, 2, 3, 4, 5, 6, 7};
  unpack_bits(four, 4, 0, q);
  EXPECT_EQ(q, expected);
  unpack_bits(five, 5, 0, q);
  EXPECT_EQ(q, expected);
  std::vector<std::uint8_t> last(2);
  unpack_bits(five, 5, 6, last);
  EXPECT_EQ(last, (std::vector<std::uint8_t>{6, 7}));
}

TEST(BitStreams, UnpackingUndoesPacking) {
  for (int bits : {2, 3, 4, 5, 6, 8}) {
    std::vector<std::uint8_t> q(96), back(96);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<std::uint8_t>((i * 37 + 11) % (1u << bits));
    std::vector<std::byte> row(packed_row_bytes(q.size(), bits));
    ASSERT_EQ(row.size(), 12u * static_cast<std::size_t>(bits));
    pack_bits(q, bits, row.data());
    unpack_bits(row, bits, 0, back);
    EXPECT_EQ(back, q) << bits;
  }
  EXPECT_EQ(packed_row_bytes(33, 5), 0u);  // no whole words
}

// w_i = (i - 20) / 10 has scale -0.43 and bias 4.3 in 4 bits, scale -0.0247126437 in 8.
TEST(AffineGroups, QuantisesLikeTheSpecification) {
  std::vector<float> w(64);
  for (int i = 0; i < 64; ++i) w[static_cast<std::size_t>(i)] = static_cast<float>(i - 20) / 10;
  std::vector<std::uint8_t> q(64);
  EXPECT_FLOAT_EQ(affine_scale(-2.0f, 4.3f, 15).scale, -0.43f);
  EXPECT_FLOAT_EQ(affine_scale(-2.0f, 4.3f, 15).bias, 4.3f);
  EXPECT_FLOAT_EQ(affine_scale(-2.0f, 4.3f, 255).scale, -0.0247126437f);
  for (int bits : {4, 8}) {
    const AffineScale stored = quantize_affine(w, bits, q);
    EXPECT_EQ(stored.scale, to_f32(to_bf16(stored.scale)));
    EXPECT_EQ(stored.bias, to_f32(to_bf16(4.3f)));
    for (std::size_t i = 0; i < w.size(); ++i) {
      const float error = stored.scale * static_cast<float>(q[i]) + stored.bias - w[i];
      EXPECT_LE(std::fabs(error), 0.51f * std::fabs(stored.scale)) << bits << " " << i;
    }
  }
}

// A matrix [2, 64] of q8_0 blocks with scale 0.5 and 1, 2, 3, 4 and q = -32 .. 31.
struct Q8Matrix {
  std::vector<std::byte> bytes;
  HostTensor tensor;
  Q8Matrix() {
    for (int block = 0; block < 4; ++block) {
      const f16 scale = to_f16(0.5f * static_cast<float>(block + 1));
      bytes.push_back(static_cast<std::byte>(scale.bits & 255));
      bytes.push_back(static_cast<std::byte>(scale.bits >> 8));
      for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<std::byte>(block % 2 * 32 + i - 32));
    }
    tensor = {.name = "m", .shape = {2, 64}, .bytes = bytes, .encoding = Encoding::kQ8_0};
  }
};

TEST(Encodings, AnyRangeOfABlockedTensor) {
  const Q8Matrix matrix;
  EXPECT_EQ(encoded_bytes(matrix.tensor), matrix.bytes.size());
  std::vector<float> all(128);
  widen_to_f32(matrix.tensor, all);
  EXPECT_EQ(all[0], -16.0f);
  EXPECT_EQ(all[127], 62.0f);
  for (std::size_t begin : {0u, 1u, 31u, 33u, 60u}) {
    std::vector<float> part(67);
    widen_to_f32(matrix.tensor, part, static_cast<std::int64_t>(begin));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(begin))) << begin;
  }
}

TEST(Encodings, ChannelsLastReadsLikeChannelsFirst) {
  const std::int64_t inputs = 5;
  std::vector<float> last(3 * 9 * 5), expected(last.size()), found(last.size());
  for (std::size_t i = 0; i < last.size(); ++i) last[i] = static_cast<float>(i);
  for (std::size_t o = 0; o < 3; ++o)
    for (std::size_t t = 0; t < 9; ++t)
      for (std::size_t i = 0; i < 5; ++i) expected[(o * 5 + i) * 9 + t] = last[(o * 9 + t) * 5 + i];
  const HostTensor kernel{.name = "k",
                          .dtype = DType::kF32,
                          .shape = {3, inputs, 3, 3},
                          .bytes = std::as_bytes(std::span(last)),
                          .channels_last = true};
  widen_to_f32(kernel, found);
  EXPECT_EQ(found, expected);
}

TEST(StoredBlocks, Q8KeepsScalesAndIntegersAndRoundsWhatOurKernelsLack) {
  Q8Matrix matrix;
  EXPECT_EQ(stored_format(matrix.tensor), WeightFormat::kQ8);
  const Q8Block block = stored_q8(matrix.tensor, 1, 1);
  EXPECT_EQ(to_f32(block.scale), 2.0f);
  EXPECT_EQ(block.q[31], 31);
  matrix.bytes[2] = static_cast<std::byte>(-128);  // in the first block of scale 0.5
  const Q8Block rounded = stored_q8(matrix.tensor, 0, 0);
  EXPECT_EQ(rounded.q[0], -127);
  EXPECT_NEAR(to_f32(rounded.scale) * -127, -64, 0.05);
}

TEST(StoredBlocks, OnlyFourBitsWithBf16ScalesInOurGroupsAreHeld) {
  const auto held = [](int bits, std::int64_t group_size, DType dtype) {
    HostTensor tensor{.name = "m", .shape = {1, 128}, .encoding = Encoding::kMlxAffine};
    tensor.affine = {.bits = bits, .group_size = group_size, .dtype = dtype};
    return stored_format(tensor);
  };
  EXPECT_EQ(held(4, 64, DType::kBf16), WeightFormat::kQ4);
  EXPECT_EQ(held(4, 32, DType::kBf16), WeightFormat::kQ4G32);
  EXPECT_EQ(held(4, 128, DType::kBf16), std::nullopt);
  EXPECT_EQ(held(4, 64, DType::kF16), std::nullopt);
  EXPECT_EQ(held(8, 64, DType::kBf16), std::nullopt);
}

}  // namespace
}  // namespace qasr
