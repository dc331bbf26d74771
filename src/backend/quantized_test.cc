// Products of 8- and 4-bit weights against the reference backend, which rounds weights and activations by the scalar
// definitions of tensor/quant_blocks.h and multiplies in f64.
#include <gmock/gmock.h>

#include "backend/backend_test_util.h"

namespace qasr::test {
namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::kQ8, WeightFormat::kQ4, WeightFormat::kQ4G32};

std::string format_name(WeightFormat format) {
  return format == WeightFormat::kQ8 ? "q8" : (format == WeightFormat::kQ4 ? "q4" : "q4g32");
}

class QuantizedTest : public BackendTest {};
QASR_FOR_EVERY_ISA(QuantizedTest);

struct Case {
  std::int64_t rows, out, in;
};

Floats weights(std::int64_t out, std::int64_t in, std::uint32_t seed) {
  return random_floats(static_cast<std::size_t>(out * in), seed, std::sqrt(3.0f / static_cast<float>(in)));
}

// Activations with a few large ones, as real models have.
Floats activations(std::int64_t rows, std::int64_t in, std::uint32_t seed) {
  Floats x = random_floats(static_cast<std::size_t>(rows * in), seed);
  for (std::size_t i = 5; i < x.size(); i += 97) x[i] *= 50;
  return x;
}

Floats run(Backend& backend, const Case& c, const Floats& x, const LinearWeight& w, LinearOptions options = {}) {
  const Input input(backend, x, {c.rows, c.in});
  const Floats residual = random_floats(static_cast<std::size_t>(c.rows * c.out), 9);
  const Output y(backend, {c.rows, c.out}, options.accumulate ? &residual : nullptr);
  backend.linear(input, w, y, options);
  return y.read();
}

// Awkward sizes in every place, and shapes of the official models.
TEST_P(QuantizedTest, LinearAgreesWithReference) {
  std::vector<Case> cases = {{2, 896, 3584}, {3, 1024, 1024}, {40, 192, 1024}, {1, 2048, 1024}};
  for (std::int64_t out : {1, 7, 31, 33, 255}) {
    for (std::int64_t in : {1, 31, 32, 33, 64, 96, 255}) cases.push_back({out % 5 + 1, out, in});
  }
  for (std::int64_t rows : {1, 3, 4, 5, 6, 7, 12, 13, 32, 33, 145, 255}) cases.push_back({rows, 65, 300});
  for (const Case& c : cases) {
    const TestTensor w(weights(c.out, c.in, 2), {c.out, c.in}, DType::kBf16);
    const TestTensor b(random_floats(static_cast<std::size_t>(c.out), 3), {c.out});
    const Floats x = activations(c.rows, c.in, 1);
    for (WeightFormat format : kFormats) {
      const auto cpu_w = cpu_->make_linear({&w.tensor, 1}, {&b.tensor, 1}, format);
      const auto ref_w = reference_->make_linear({&w.tensor, 1}, {&b.tensor, 1}, format);
      const LinearOptions options{c.rows % 2 == 0 ? Activation::kGelu : Activation::kNone, c.out % 2 == 0};
      expect_close(run(*cpu_, c, x, *cpu_w, options), run(*reference_, c, x, *ref_w, options),
                   tolerance::kQuantizedProduct, format_name(format) + " " + Shape({c.rows, c.out, c.in}).to_string());
    }
  }
}

TEST_P(QuantizedTest, RowsDoNotDependOnTheirNumber) {
  constexpr std::int64_t kMost = 150, kOut = 70, kIn = 1100;
  const TestTensor w(weights(kOut, kIn, 2), {kOut, kIn}, DType::kBf16);
  const Floats x = activations(kMost, kIn, 1);
  for (WeightFormat format : kFormats) {
    const auto weight = cpu_->make_linear({&w.tensor, 1}, {}, format);
    Floats single;
    for (std::int64_t row = 0; row < kMost; ++row) {
      const Floats y = run(*cpu_, {1, kOut, kIn}, rows_of(x, kIn, row, 1), *weight);
      single.insert(single.end(), y.begin(), y.end());
    }
    std::vector<std::int64_t> counts = {33, 64, 150};
    for (std::int64_t rows = 1; rows <= 20; ++rows) counts.push_back(rows);
    for (std::int64_t rows : counts) {
      expect_same(run(*cpu_, {rows, kOut, kIn}, rows_of(x, kIn, 0, rows), *weight), rows_of(single, kOut, 0, rows),
                  format_name(format) + ", " + std::to_string(rows) + " rows");
    }
  }
}

TEST_P(QuantizedTest, SizesAreWhatTheFormatsPromise) {
  const std::int64_t out = 512, in = 1024;
  const TestTensor w(weights(out, in, 2), {out, in}, DType::kBf16);
  const auto bits = [&](WeightFormat format) {
    return 8.0 * static_cast<double>(cpu_->make_linear({&w.tensor, 1}, {}, format)->bytes()) /
           static_cast<double>(out * in);
  };
  EXPECT_DOUBLE_EQ(bits(WeightFormat::kQ8), 8.5);
  EXPECT_DOUBLE_EQ(bits(WeightFormat::kQ4), 4.5);
  EXPECT_DOUBLE_EQ(bits(WeightFormat::kQ4G32), 5.0);
}

TEST_P(QuantizedTest, GateUpAgreesWithReference) {
  for (const Case& c : {Case{1, 7, 64}, {5, 33, 100}, {40, 100, 96}, {3, 3072, 1024}}) {
    const TestTensor gate(weights(c.out, c.in, 2), {c.out, c.in}), up(weights(c.out, c.in, 3), {c.out, c.in});
    const Floats x = activations(c.rows, c.in, 1);
    for (WeightFormat format : kFormats) {
      const auto result = [&](Backend& backend) {
        const auto w = backend.make_gate_up(gate.tensor, up.tensor, format);
        const Input input(backend, x, {c.rows, c.in});
        const Output y(backend, {c.rows, c.out});
        backend.gate_up_silu(input, *w, y);
        return y.read();
      };
      expect_close(result(*cpu_), result(*reference_), 40 * tolerance::kQuantizedProduct, format_name(format));
    }
  }
}

TEST_P(QuantizedTest, HeadAndEmbeddingAgreeWithReference) {
  constexpr std::int64_t kVocab = 1201, kHidden = 100;
  const TestTensor table(weights(kVocab, kHidden, 2), {kVocab, kHidden}, DType::kBf16);
  for (std::int64_t rows : {1, 5, 40}) {
    const Floats x = activations(rows, kHidden, 1);
    std::vector<std::int32_t> wanted(static_cast<std::size_t>(rows));
    for (std::size_t row = 0; row < wanted.size(); ++row) wanted[row] = static_cast<std::int32_t>(row * 29);
    struct Result {
      Floats embedded, logits;
      std::vector<std::int32_t> ids;
    };
    const auto result = [&](Backend& backend) {
      const auto head = backend.make_linear({&table.tensor, 1}, {}, WeightFormat::kQ8);
      const Input input(backend, x, {rows, kHidden});
      const Output embedded(backend, {rows, kHidden}), logits(backend, {rows, kVocab});
      Result r;
      r.ids.resize(static_cast<std::size_t>(rows));
      backend.embed(*head, wanted, embedded);
      backend.argmax_logits(input, *head, logits, r.ids);
      r.embedded = embedded.read();
      r.logits = logits.read();
      return r;
    };
    const Result cpu = result(*cpu_), reference = result(*reference_);
    expect_same(cpu.embedded, reference.embedded, "embedding");
    expect_close(cpu.logits, reference.logits, tolerance::kQuantizedProduct, "logits");
    EXPECT_EQ(cpu.ids, reference.ids);
  }
}

TEST_P(QuantizedTest, WhatIsNotFiniteShowsInItsRowAlone) {
  const Case c{9, 40, 96};
  const TestTensor w(weights(c.out, c.in, 2), {c.out, c.in});
  Floats x = activations(c.rows, c.in, 1);
  x[2 * 96 + 50] = std::numeric_limits<float>::infinity();
  x[7 * 96 + 95] = std::numeric_limits<float>::quiet_NaN();
  for (WeightFormat format : kFormats) {
    const Floats y = run(*cpu_, c, x, *cpu_->make_linear({&w.tensor, 1}, {}, format));
    for (std::int64_t row = 0; row < c.rows; ++row) {
      for (float value : rows_of(y, c.out, row, 1)) EXPECT_EQ(std::isnan(value), row == 2 || row == 7) << row;
    }
  }
}

// A different rounding of one activation moves a result by a step; the convolutions before differ in their last bits.
TEST_P(QuantizedTest, ConvStemAgreesWithReference) {
  struct Stem {
    std::int64_t channels, chunks, height, width;
  };
  for (const Stem& c : {Stem{8, 2, 16, 10}, {33, 1, 20, 13}, {64, 3, 24, 9}, {40, 1, 1, 1}}) {
    const std::int64_t taps = c.channels * c.channels * 9;
    const float scale = 1.5f * std::sqrt(3.0f / static_cast<float>(9 * c.channels));
    const TestTensor w1(random_floats(static_cast<std::size_t>(c.channels * 9), 1), {c.channels, 1, 3, 3});
    const TestTensor w2(random_floats(static_cast<std::size_t>(taps), 2, scale), {c.channels, c.channels, 3, 3});
    const TestTensor w3(random_floats(static_cast<std::size_t>(taps), 3, scale), {c.channels, c.channels, 3, 3});
    const TestTensor b(random_floats(static_cast<std::size_t>(c.channels), 4, 0.1f), {c.channels});
    const Floats x = random_floats(static_cast<std::size_t>(c.chunks * c.height * c.width), 5);
    const auto result = [&](Backend& backend) {
      const HostTensor all[] = {w1.tensor, w2.tensor, w3.tensor}, biases[] = {b.tensor, b.tensor, b.tensor};
      const auto stem = backend.make_conv_stem(all, biases, WeightFormat::kQ8);
      const Input input(backend, x, {c.chunks, c.height, c.width});
      const Output y(backend, {c.chunks * conv_out_length(c.width, 3), c.channels * conv_out_length(c.height, 3)});
      backend.conv_stem(input, *stem, y);
      return y.read();
    };
    expect_close(result(*cpu_), result(*reference_), tolerance::kQuantizedStem,
                 std::to_string(c.channels) + " channels");
  }
}

}  // namespace
}  // namespace qasr::test
