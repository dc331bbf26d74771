// The product on tile registers (isa/tile_gemm.h) with tiles and vectors in plain C++, so that its way through rows,
// panels and chunks is tested on every machine; the real ones are tested as an instruction set among the others where
// there are any.
#include "backend/cpu/isa/tile_gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "tensor/dtype.h"

namespace qasr::cpu::isa {
namespace {

constexpr int kFeatures = 32;  // of a panel

struct PlainVector {
  struct F {
    float lane[16];
  };
  struct I {
    std::int32_t lane[16];
  };
  struct W {
    std::uint8_t byte[64];
  };
  using X = std::int8_t;
  static constexpr int kLanes = 16, kPanelVectors = 2, kDepthGroup = 4;
  static constexpr bool kOffsetWeights = true;

  template <typename Op>
  static F each(Op op) {
    F y;
    for (int i = 0; i < 16; ++i) y.lane[i] = op(i);
    return y;
  }
  template <typename T>
  static T load_as(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  }
  static F load(const float* from) { return load_as<F>(from); }
  static void store(float* to, F value) { std::memcpy(to, &value, sizeof(value)); }
  static F zero() { return F{}; }
  static F broadcast(const float* from) {
    return each([&](int) { return *from; });
  }
  static F load_f16(const std::uint16_t* from) {
    return each([&](int i) { return to_f32(f16{from[i]}); });
  }
  static F load_bf16(const std::uint16_t* from) {
    return each([&](int i) { return to_f32(bf16{from[i]}); });
  }
  static F add(F a, F b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static F mul(F a, F b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static F fma(F a, F b, F c) {
    return each([&](int i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
  }
  static F sum_to_float(I sum) {
    return each([&](int i) { return static_cast<float>(sum.lane[i]); });
  }
  static I load_sum(const std::int32_t* from) { return load_as<I>(from); }

  template <typename Op>
  static W each_byte(const std::byte* from, Op op) {
    W w = load_as<W>(from);
    for (std::uint8_t& byte : w.byte) byte = static_cast<std::uint8_t>(op(byte));
    return w;
  }
  static W load_bytes(const std::byte* from) { return load_as<W>(from); }
  static W load_low_nibbles(const std::byte* from) {
    return each_byte(from, [](int byte) { return byte & 15; });
  }
  static W load_high_nibbles(const std::byte* from) {
    return each_byte(from, [](int byte) { return byte >> 4; });
  }
  static W load_w(const std::byte* from) { return load_as<W>(from); }
  static void store_w(std::byte* to, W w) { std::memcpy(to, &w, sizeof(w)); }
  static W signed_bytes(W w) {
    for (std::uint8_t& byte : w.byte) byte = static_cast<std::uint8_t>(byte - 128);
    return w;
  }
};

// What amx_tiles.h does, and its rules: nothing without a configuration, none left behind.
struct PlainTiles {
  inline static bool is_configured = false;
  inline static std::int32_t sums[2][16][16];
  inline static std::int8_t activations[2][16][32], weights[2][8][64];

  static void configure(std::size_t rows) {
    EXPECT_EQ(rows, 16U);
    is_configured = true;
  }
  static void release() { is_configured = false; }
  template <int kTile>
  static void zero() {
    std::memset(sums[kTile], 0, sizeof(sums[kTile]));
  }
  template <int kTile>
  static void load(const void* from, std::size_t stride) {
    EXPECT_TRUE(is_configured);
    const auto* bytes = static_cast<const std::byte*>(from);
    constexpr bool kIsWeights = kTile >= 6;
    for (std::size_t row = 0; row < (kIsWeights ? 8 : 16); ++row, bytes += stride) {
      if constexpr (kIsWeights) {
        std::memcpy(weights[kTile - 6][row], bytes, 64);
      } else {
        std::memcpy(activations[kTile - 4][row], bytes, 32);
      }
    }
  }
  template <int kTile>
  static void store(void* to, std::size_t stride) {
    auto* bytes = static_cast<std::byte*>(to);
    for (std::size_t row = 0; row < 16; ++row) std::memcpy(bytes + row * stride, sums[kTile][row], 64);
  }
  template <int kSums, int kActivations, int kWeights>
  static void multiply_add() {
    for (int row = 0; row < 16; ++row) {
      for (int feature = 0; feature < 16; ++feature) {
        for (int depth = 0; depth < 32; ++depth) {
          sums[kSums][row][feature] +=
              activations[kActivations - 4][row][depth] * weights[kWeights - 6][depth / 4][feature * 4 + depth % 4];
        }
      }
    }
  }
};

struct Case {
  QuantFormat format;
  std::size_t rows, panels, segments, blocks;  // blocks of a segment
  bool equally_apart;

  std::string text() const {
    std::string text = "format " + std::to_string(static_cast<int>(format));
    for (std::size_t n : {rows, panels, segments, blocks}) text += ", " + std::to_string(n);
    return text + (equally_apart ? "" : ", rows not equally far apart");
  }
};

// Weights, activations and their product by the definition in quant_gemm.h.
class Product {
 public:
  explicit Product(const Case& c) : case_(c), layout_(c.blocks, 1), random_(static_cast<unsigned>(c.rows * c.blocks)) {
    const std::size_t n_groups = c.segments * c.blocks / blocks_per_group(c.format);
    panel_bytes_ = n_groups * group_bytes(c.format, kFeatures);
    weights_.resize(c.panels * panel_bytes_);
    for (std::byte& byte : weights_) byte = static_cast<std::byte>(random_() & 255);
    for (std::size_t group = 0; group < c.panels * n_groups; ++group) {
      auto* header = weights_.data() + group * group_bytes(c.format, kFeatures);
      for (std::size_t at = 0; at < group_header_bytes(c.format, kFeatures); at += 2) {
        // Scales and biases between 2^-7 and 2^-6, either sign.
        const float value = std::ldexp(1.0f + static_cast<float>(random_() % 128) / 128, random_() % 2 == 0 ? -7 : -6);
        const std::uint16_t bits = c.format == QuantFormat::kQ8 ? to_f16(value).bits : to_bf16(-value).bits;
        std::memcpy(header + at, &bits, sizeof(bits));
      }
    }
    records_.resize(c.rows * c.segments * layout_.bytes);
    for (std::size_t i = 0; i < c.rows * c.segments; ++i) {
      pointers_.push_back(records_.data() + i * layout_.bytes);
      fill(records_.data() + i * layout_.bytes);
    }
    if (!c.equally_apart) std::shuffle(pointers_.begin(), pointers_.end(), random_);
  }

  std::vector<float> on_tiles(std::size_t stride) const {
    std::vector<float> c(case_.rows * stride, -1.0f);
    AlignedBuffer scratch(sizeof(TileScratch<PlainVector>));
    tile_product<PlainVector, PlainTiles>(
        {pointers_.data(), case_.rows, case_.segments, layout_},
        {weights_.data(), case_.format, case_.panels, case_.segments * case_.blocks, panel_bytes_}, scratch.data(),
        c.data(), stride);
    return c;
  }

  float by_definition(std::size_t row, std::size_t column) const {
    const std::size_t in_group = blocks_per_group(case_.format);
    const std::byte* at = weights_.data() + column / kFeatures * panel_bytes_;
    const std::size_t feature = column % kFeatures;
    float y = 0.0f;
    for (std::size_t block = 0; block < case_.segments * case_.blocks; block += in_group) {
      const std::byte* header = at;
      at += group_header_bytes(case_.format, kFeatures);
      float group_sum = 0.0f;
      for (std::size_t i = 0; i < in_group; ++i, at += block_bytes(case_.format, kFeatures)) {
        const std::byte* record = pointers_[row * case_.segments + (block + i) / case_.blocks];
        const std::size_t of_record = (block + i) % case_.blocks;
        std::int32_t dot = 0;
        for (std::size_t depth = 0; depth < kBlock; ++depth) {
          dot += std::to_integer<std::int8_t>(record[of_record * kBlock + depth]) * integer(at, feature, depth);
        }
        const float scale = value_at(record, layout_.scale_offset, of_record);
        const float sum = value_at(record, layout_.sum_offset, of_record);
        group_sum = i == 0 ? sum : group_sum + sum;
        y = std::fma(static_cast<float>(dot), scale * header_value(header, feature), y);
      }
      if (case_.format != QuantFormat::kQ8) y = std::fma(group_sum, header_value(header, kFeatures + feature), y);
    }
    return y;
  }

 private:
  void fill(std::byte* record) {
    for (std::size_t i = 0; i < layout_.scale_offset; ++i) record[i] = static_cast<std::byte>(random_() % 255 - 127);
    for (std::size_t at = layout_.scale_offset; at < layout_.correction_offset; at += sizeof(float)) {
      const float value = 0.001f * static_cast<float>(random_() % 1000);
      std::memcpy(record + at, &value, sizeof(value));
    }
  }
  static float value_at(const std::byte* record, std::size_t offset, std::size_t block) {
    return PlainVector::load_as<float>(record + offset + block * sizeof(float));
  }
  float header_value(const std::byte* header, std::size_t i) const {
    const auto bits = PlainVector::load_as<std::uint16_t>(header + 2 * i);
    return case_.format == QuantFormat::kQ8 ? to_f32(f16{bits}) : to_f32(bf16{bits});
  }
  // quant_layout.h: [8 steps][2 vectors][16 lanes][4 depths]; 4 bits: steps 4 to 7 in the high halves of 0 to 3.
  int integer(const std::byte* block, std::size_t feature, std::size_t depth) const {
    const std::size_t step = depth / 4, stored = case_.format == QuantFormat::kQ8 ? step : step % 4;
    const int byte = std::to_integer<int>(block[((stored * 2 + feature / 16) * 16 + feature % 16) * 4 + depth % 4]);
    if (case_.format == QuantFormat::kQ8) return byte - 128;
    return step < 4 ? byte & 15 : byte >> 4;
  }

  Case case_;
  RecordLayout layout_;
  std::size_t panel_bytes_ = 0;
  std::vector<std::byte> weights_, records_;
  std::vector<const std::byte*> pointers_;
  std::minstd_rand random_;
};

TEST(TileProduct, EqualsTheDefinitionBitForBit) {
  using enum QuantFormat;
  const Case cases[] = {{kQ8, 1, 1, 1, 1, true},      {kQ8, 5, 2, 1, 3, true},     {kQ8, 16, 1, 1, 8, true},
                        {kQ8, 16, 1, 1, 9, false},    {kQ8, 17, 3, 1, 16, true},   {kQ8, 48, 2, 1, 33, true},
                        {kQ8, 34, 1, 9, 15, false},   {kQ8, 32, 1, 3, 17, false},  {kQ4G32, 18, 2, 1, 7, true},
                        {kQ4G32, 33, 1, 3, 1, false}, {kQ4G64, 16, 2, 1, 2, true}, {kQ4G64, 50, 2, 1, 18, true},
                        {kQ4G64, 31, 1, 2, 10, false}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text());
    const Product product(c);
    const std::size_t columns = c.panels * kFeatures, stride = columns + 16;
    const std::vector<float> y = product.on_tiles(stride);
    EXPECT_FALSE(PlainTiles::is_configured);
    for (std::size_t row = 0; row < c.rows; ++row) {
      for (std::size_t column = 0; column < stride; ++column) {
        const float expected = column < columns ? product.by_definition(row, column) : -1.0f;
        ASSERT_EQ(y[row * stride + column], expected) << "row " << row << ", column " << column;
      }
    }
  }
}

}  // namespace
}  // namespace qasr::cpu::isa
