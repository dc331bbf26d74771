// Rows that an operation of the CPU backend rounds for the product that reads them (DType::kQ8Rows): the product must
// be, bit for bit, that of the same operation's f32 rows.
#include <functional>

#include "backend/backend_test_util.h"
#include "backend/device_tensor.h"

namespace qasr::test {
namespace {

class RoundedRowsTest : public BackendTest {
 protected:
  using Operation = std::function<void(TensorView y)>;

  std::unique_ptr<LinearWeight> make_weight(std::int64_t out, std::int64_t in, std::uint32_t seed) {
    const TestTensor w(random_floats(static_cast<std::size_t>(out * in), seed, 0.1f), {out, in});
    return cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kQ8);
  }

  // `operation` fills y [rows, cols]; whatever it is given must lead to the same product.
  void expect_same_product(std::int64_t rows, std::int64_t cols, const Operation& operation, const std::string& what) {
    const auto w = make_weight(37, cols, 77);
    ASSERT_EQ(cpu_->operand_dtype(*w), DType::kQ8Rows);
    Floats products[2];
    for (DType dtype : {DType::kF32, DType::kQ8Rows}) {
      DeviceTensor y;
      operation(y.resize(*cpu_, {rows, cols}, dtype));
      const Output product(*cpu_, {rows, 37});
      cpu_->linear(y.view(), *w, product, {});
      products[dtype == DType::kQ8Rows] = product.read();
    }
    expect_same(products[1], products[0], what + " " + Shape({rows, cols}).to_string());
  }
};
// The others hold rounded activations as floats, which would only make rows longer.
std::vector<std::string> rounding_isas() {
  std::vector<std::string> names = cpu::supported_isas();
  std::erase_if(names, [](const std::string& name) {
    return cpu::select_isa(name).quant_shape.activation_bytes == sizeof(float);
  });
  return names;
}
INSTANTIATE_TEST_SUITE_P(Isa, RoundedRowsTest, ::testing::ValuesIn(rounding_isas()), isa_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RoundedRowsTest);

const std::int64_t kRows[] = {1, 5, 40, 150}, kColumns[] = {1, 31, 32, 65, 100, 256};

TEST_P(RoundedRowsTest, Norms) {
  for (std::int64_t rows : kRows) {
    for (std::int64_t cols : kColumns) {
      const auto n = static_cast<std::size_t>(cols);
      const Input x(*cpu_, random_floats(static_cast<std::size_t>(rows) * n, 1, 5.0f), {rows, cols});
      const Input weight(*cpu_, random_floats(n, 2), {cols}), bias(*cpu_, random_floats(n, 3), {cols});
      expect_same_product(
          rows, cols, [&](TensorView y) { cpu_->rms_norm(x, weight, 1e-6f, y); }, "rms_norm");
      expect_same_product(
          rows, cols, [&](TensorView y) { cpu_->layer_norm(x, weight, bias, 1e-5f, y); }, "layer_norm");
    }
  }
}

TEST_P(RoundedRowsTest, Products) {
  constexpr std::int64_t kIn = 70;
  for (std::int64_t rows : kRows) {
    const Input x(*cpu_, random_floats(static_cast<std::size_t>(rows * kIn), 1), {rows, kIn});
    for (std::int64_t cols : kColumns) {
      const TestTensor w(random_floats(static_cast<std::size_t>(cols * kIn), 2), {cols, kIn});
      const TestTensor up(random_floats(static_cast<std::size_t>(cols * kIn), 3), {cols, kIn});
      const TestTensor b(random_floats(static_cast<std::size_t>(cols), 4), {cols});
      for (WeightFormat format : {WeightFormat::kF32, WeightFormat::kQ8, WeightFormat::kQ4}) {
        const auto linear = cpu_->make_linear({&w.tensor, 1}, {&b.tensor, 1}, format);
        const auto gate_up = cpu_->make_gate_up(w.tensor, up.tensor, format);
        expect_same_product(
            rows, cols, [&](TensorView y) { cpu_->linear(x, *linear, y, {.activation = Activation::kGelu}); },
            "linear");
        expect_same_product(
            rows, cols, [&](TensorView y) { cpu_->gate_up_silu(x, *gate_up, y); }, "gate_up_silu");
      }
    }
  }
}

TEST_P(RoundedRowsTest, AttentionInBlocks) {
  const std::vector<std::int32_t> begin = {0, 7, 8, 40};
  for (std::int64_t head_dim : {10, 16, 32, 64}) {
    const std::int64_t width = 3 * head_dim;
    const Input qkv(*cpu_, random_floats(static_cast<std::size_t>(40 * 3 * width), 1), {40, 3 * width});
    expect_same_product(
        40, width, [&](TensorView y) { cpu_->attention_blocks(qkv, 3, {begin}, y); }, "attention_blocks");
  }
}

// The queries' product takes rounded rows, attention gives them.
TEST_P(RoundedRowsTest, CausalAttention) {
  constexpr std::int64_t kRowsOfCall = 40, kHidden = 96;
  constexpr int kHeads = 4, kKvHeads = 2;
  const std::vector<std::int32_t> row_begin = {0, 33, 40}, n_past = {0, 0}, pages_of[] = {{2, 0, 1}, {3}};
  const std::span<const std::int32_t> pages[] = {pages_of[0], pages_of[1]};
  const SequenceBatch batch{row_begin, n_past, pages};
  const Input x(*cpu_, random_floats(kRowsOfCall * kHidden, 1), {kRowsOfCall, kHidden});
  const Input norm(*cpu_, random_floats(kHidden, 2), {kHidden});
  for (int head_dim : {16, 32}) {
    const Input head_norm(*cpu_, random_floats(static_cast<std::size_t>(head_dim), 3), {head_dim});
    const Input angles(*cpu_, random_floats(static_cast<std::size_t>(64 * head_dim / 2), 4), {64, head_dim / 2});
    const auto qkv = make_weight((kHeads + 2 * kKvHeads) * head_dim, kHidden, 5);
    const auto cache = cpu_->make_kv_cache({1, kKvHeads, head_dim, 16, 4, DType::kBf16});
    Floats queries[2];
    for (DType dtype : {DType::kF32, DType::kQ8Rows}) {
      DeviceTensor normed;
      cpu_->rms_norm(x, norm, 1e-6f, normed.resize(*cpu_, {kRowsOfCall, kHidden}, dtype));
      const Output q(*cpu_, {kRowsOfCall, kHeads * head_dim});
      cpu_->qkv_norm_rope_append(normed.view(), {qkv.get(), head_norm, head_norm, 1e-6f, angles, angles, 0}, batch,
                                 *cache, q);
      queries[dtype == DType::kQ8Rows] = q.read();
      expect_same_product(
          kRowsOfCall, kHeads * head_dim, [&](TensorView y) { cpu_->attention_causal(q, kHeads, 0, batch, *cache, y); },
          "attention_causal");
    }
    expect_same(queries[1], queries[0], "queries");
  }
}

TEST_P(RoundedRowsTest, ConvStem) {
  for (std::int64_t channels : {8, 33}) {
    const auto n = static_cast<std::size_t>(channels);
    const TestTensor w1(random_floats(n * 9, 1), {channels, 1, 3, 3});
    const TestTensor w2(random_floats(n * n * 9, 2, 0.1f), {channels, channels, 3, 3}),
        b(random_floats(n, 3), {channels});
    const HostTensor weights[] = {w1.tensor, w2.tensor, w2.tensor}, biases[] = {b.tensor, b.tensor, b.tensor};
    const Input x(*cpu_, random_floats(3 * 20 * 13, 4), {3, 20, 13});
    for (WeightFormat format : {WeightFormat::kF32, WeightFormat::kQ8}) {
      const auto stem = cpu_->make_conv_stem(weights, biases, format);
      expect_same_product(
          3 * conv_out_length(13, 3), channels * conv_out_length(20, 3),
          [&](TensorView y) { cpu_->conv_stem(x, *stem, y); }, "conv_stem");
    }
  }
}

TEST_P(RoundedRowsTest, Head) {
  constexpr std::int64_t kRowsOfCall = 3, kHidden = 100, kVocab = 301;
  const auto head = make_weight(kVocab, kHidden, 1);
  const Input x(*cpu_, random_floats(kRowsOfCall * kHidden, 2), {kRowsOfCall, kHidden});
  const Input norm(*cpu_, random_floats(kHidden, 3), {kHidden});
  Floats logits[2];
  std::vector<std::int32_t> ids[2];
  for (DType dtype : {DType::kF32, DType::kQ8Rows}) {
    const bool rounded = dtype == DType::kQ8Rows;
    DeviceTensor normed;
    cpu_->rms_norm(x, norm, 1e-6f, normed.resize(*cpu_, {kRowsOfCall, kHidden}, dtype));
    const Output out(*cpu_, {kRowsOfCall, kVocab});
    ids[rounded].resize(kRowsOfCall);
    cpu_->argmax_logits(normed.view(), *head, out, ids[rounded]);
    logits[rounded] = out.read();
  }
  expect_same(logits[1], logits[0], "logits");
  EXPECT_EQ(ids[1], ids[0]);
}

// Two formats whose products take f32: no 8-bit blocks, and blocks that are padded in pairs.
TEST_P(RoundedRowsTest, OnlyWhereTheProductTakesThem) {
  const TestTensor w(random_floats(4 * 96, 1), {4, 96});
  const auto dtype = [&](WeightFormat format) {
    return cpu_->operand_dtype(*cpu_->make_linear({&w.tensor, 1}, {}, format));
  };
  EXPECT_EQ(dtype(WeightFormat::kF32), DType::kF32);
  EXPECT_EQ(dtype(WeightFormat::kBf16), DType::kF32);
  EXPECT_EQ(dtype(WeightFormat::kQ4), DType::kF32);  // 96 is one and a half groups of 64
  EXPECT_EQ(dtype(WeightFormat::kQ4G32), DType::kQ8Rows);
  EXPECT_EQ(dtype(WeightFormat::kQ8), DType::kQ8Rows);
}

}  // namespace
}  // namespace qasr::test
