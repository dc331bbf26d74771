// Products with what follows them: linear, gate_up_silu, argmax_logits, embed.
#include "backend/choose_ids_test_util.h"

namespace qasr::test {
namespace {

class LinearTest : public BackendTest {};
QASR_FOR_EVERY_ISA(LinearTest);

struct Case {
  std::int64_t rows, out, in;
  std::string name() const { return Shape({rows, out, in}).to_string(); }
};

// Every size of {1, 7, 31, 32, 33, 255} in every place, a few rows and many, and shapes of the official models.
std::vector<Case> cases() {
  std::vector<Case> list;
  for (std::int64_t out : {1, 7, 31, 32, 33, 255}) {
    for (std::int64_t in : {1, 7, 31, 32, 33, 255}) list.push_back({out % 5 + 1, out, in});
  }
  for (std::int64_t rows : {1, 7, 16, 17, 31, 32, 33, 145, 255}) list.push_back({rows, 33, 300});
  list.insert(list.end(), {{2, 1024, 896}, {3, 896, 3584}, {20, 1024, 3072}, {5, 2048, 1024}});
  return list;
}

float weight_scale(std::int64_t in) { return std::sqrt(3.0f / static_cast<float>(in)); }

Floats run_linear(Backend& backend, const Case& c, const Floats& x, const LinearWeight& w, LinearOptions options,
                  const Floats* initial = nullptr) {
  const Input input(backend, x, {c.rows, c.in});
  const Output y(backend, {c.rows, c.out}, initial);
  backend.linear(input, w, y, options);
  return y.read();
}

TEST_P(LinearTest, AgreesWithReference) {
  for (const Case& c : cases()) {
    const Floats x = random_floats(static_cast<std::size_t>(c.rows * c.in), 1);
    const Floats residual = random_floats(static_cast<std::size_t>(c.rows * c.out), 4);
    const TestTensor w(random_floats(static_cast<std::size_t>(c.out * c.in), 2, weight_scale(c.in)), {c.out, c.in});
    const TestTensor b(random_floats(static_cast<std::size_t>(c.out), 3), {c.out});
    for (bool bias : {false, true}) {
      std::span<const HostTensor> biases(&b.tensor, bias ? 1 : 0);
      const auto cpu_w = cpu_->make_linear({&w.tensor, 1}, biases, WeightFormat::kStored);
      const auto ref_w = reference_->make_linear({&w.tensor, 1}, biases, WeightFormat::kStored);
      EXPECT_EQ(cpu_w->has_bias(), bias);
      EXPECT_GE(cpu_w->bytes(), static_cast<std::size_t>(c.out * c.in) * 4);
      for (Activation activation : {Activation::kNone, Activation::kGelu}) {
        for (bool accumulate : {false, true}) {
          const LinearOptions options{activation, accumulate};
          const Floats* initial = accumulate ? &residual : nullptr;
          expect_close(run_linear(*cpu_, c, x, *cpu_w, options, initial),
                       run_linear(*reference_, c, x, *ref_w, options, initial), tolerance::kProduct, c.name());
        }
      }
    }
  }
}

TEST_P(LinearTest, StacksMatrices) {
  const std::int64_t in = 37, rows = 3, sizes[] = {5, 40, 17};
  const TestTensor a(random_floats(5 * 37, 1), {5, in}), b(random_floats(40 * 37, 2), {40, in}),
      c(random_floats(17 * 37, 3), {17, in});
  const TestTensor ba(random_floats(5, 4), {5}), bb(random_floats(40, 5), {40}), bc(random_floats(17, 6), {17});
  const HostTensor matrices[] = {a.tensor, b.tensor, c.tensor}, biases[] = {ba.tensor, bb.tensor, bc.tensor};
  const Case whole{rows, 62, in};
  const Floats x = random_floats(static_cast<std::size_t>(rows * in), 7);
  const Floats stacked = run_linear(*cpu_, whole, x, *cpu_->make_linear(matrices, biases, WeightFormat::kStored), {});
  std::int64_t column = 0;
  for (std::size_t part = 0; part < 3; column += sizes[part++]) {
    const auto w = cpu_->make_linear({&matrices[part], 1}, {&biases[part], 1}, WeightFormat::kStored);
    const Floats alone = run_linear(*cpu_, {rows, sizes[part], in}, x, *w, {});
    for (std::int64_t row = 0; row < rows; ++row) {
      expect_same(rows_of(stacked, 1, row * 62 + column, sizes[part]), rows_of(alone, sizes[part], row, 1), "part");
    }
  }
}

TEST_P(LinearTest, RowsDoNotDependOnTheirNumber) {
  for (const auto& [out, in] : {std::pair<std::int64_t, std::int64_t>{70, 515}, {193, 64}}) {
    for (DType dtype : {DType::kF32, DType::kBf16}) {
      const TestTensor w(random_floats(static_cast<std::size_t>(out * in), 2), {out, in}, dtype);
      const auto weight = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
      constexpr std::int64_t kMost = 160;
      const Floats x = random_floats(static_cast<std::size_t>(kMost * in), 1);
      Floats single;
      for (std::int64_t row = 0; row < kMost; ++row) {
        const Floats y = run_linear(*cpu_, {1, out, in}, rows_of(x, in, row, 1), *weight, {Activation::kGelu});
        single.insert(single.end(), y.begin(), y.end());
      }
      std::vector<std::int64_t> counts = {145, 160};
      for (std::int64_t rows = 1; rows <= 40; ++rows) counts.push_back(rows);
      for (std::int64_t rows : counts) {
        const Floats y = run_linear(*cpu_, {rows, out, in}, rows_of(x, in, 0, rows), *weight, {Activation::kGelu});
        expect_same(y, rows_of(single, out, 0, rows), std::to_string(rows) + " rows");
      }
    }
  }
}

TEST_P(LinearTest, FormatsOfTheSameValuesAgreeBitForBit) {
  for (std::int64_t rows : {1, 5, 50}) {
    const Case c{rows, 100, 333};
    const Floats x = random_floats(static_cast<std::size_t>(c.rows * c.in), 1);
    const TestTensor w(random_floats(static_cast<std::size_t>(c.out * c.in), 2), {c.out, c.in}, DType::kBf16);
    const auto narrow = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
    const auto wide = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kF32);
    EXPECT_LT(narrow->bytes(), wide->bytes());
    expect_same(run_linear(*cpu_, c, x, *narrow, {}), run_linear(*cpu_, c, x, *wide, {}), "bf16 against f32");
  }
}

TEST_P(LinearTest, RoundsToBf16WhenAsked) {
  const Case c{4, 40, 50};
  const Floats x = random_floats(static_cast<std::size_t>(c.rows * c.in), 1);
  for (DType dtype : {DType::kF32, DType::kF16}) {
    const TestTensor w(random_floats(static_cast<std::size_t>(c.out * c.in), 2, weight_scale(c.in)), {c.out, c.in},
                       dtype);
    for (WeightFormat format : {WeightFormat::kStored, WeightFormat::kBf16}) {
      const auto cpu_w = cpu_->make_linear({&w.tensor, 1}, {}, format);
      const auto ref_w = reference_->make_linear({&w.tensor, 1}, {}, format);
      expect_close(run_linear(*cpu_, c, x, *cpu_w, {}), run_linear(*reference_, c, x, *ref_w, {}), tolerance::kProduct,
                   std::string(dtype_name(dtype)));
    }
  }
}

TEST_P(LinearTest, GeluIsExactOverItsRange) {
  // One input, weight 1: the output is gelu(x) itself.
  const Floats one = {1.0f};
  const TestTensor w(one, {1, 1});
  Floats x;
  for (int i = -8000; i <= 8000; ++i) x.push_back(static_cast<float>(i) / 1000);
  const Case c{static_cast<std::int64_t>(x.size()), 1, 1};
  const auto weight = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
  Floats expected;
  for (double v : x) expected.push_back(static_cast<float>(0.5 * v * std::erfc(-v / std::sqrt(2.0))));
  expect_close(run_linear(*cpu_, c, x, *weight, {Activation::kGelu}), expected, tolerance::kGelu, "gelu");
}

TEST_P(LinearTest, RefusesIntegersAndWrongShapes) {
  TestTensor w(random_floats(12, 1), {3, 4});
  const auto weight = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
  const Input x(*cpu_, random_floats(10, 1), {2, 5});
  const Output y(*cpu_, {2, 3});
  EXPECT_THROW(cpu_->linear(x, *weight, y, {}), Error);
  w.tensor.dtype = DType::kI32;
  EXPECT_THROW(cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored), Error);
}

Floats run_gate_up(Backend& backend, const Case& c, const Floats& x, const HostTensor& gate, const HostTensor& up) {
  const auto w = backend.make_gate_up(gate, up, WeightFormat::kStored);
  const Input input(backend, x, {c.rows, c.in});
  const Output y(backend, {c.rows, c.out});
  backend.gate_up_silu(input, *w, y);
  return y.read();
}

TEST_P(LinearTest, GateUpAgreesWithReferenceAndSingleRows) {
  for (const Case& c : cases()) {
    const Floats x = random_floats(static_cast<std::size_t>(c.rows * c.in), 1, 2.0f);
    const auto n = static_cast<std::size_t>(c.out * c.in);
    const TestTensor gate(random_floats(n, 2, 2 * weight_scale(c.in)), {c.out, c.in}, DType::kBf16);
    const TestTensor up(random_floats(n, 3, weight_scale(c.in)), {c.out, c.in}, DType::kBf16);
    const Floats y = run_gate_up(*cpu_, c, x, gate.tensor, up.tensor);
    expect_close(y, run_gate_up(*reference_, c, x, gate.tensor, up.tensor), tolerance::kGateUp, c.name());
    const Floats last = run_gate_up(*cpu_, {1, c.out, c.in}, rows_of(x, c.in, c.rows - 1, 1), gate.tensor, up.tensor);
    expect_same(last, rows_of(y, c.out, c.rows - 1, 1), c.name());
  }
}

std::vector<std::int32_t> run_argmax(Backend& backend, const Case& c, const Floats& x, const HostTensor& head,
                                     Floats* logits = nullptr) {
  const auto w = backend.make_linear({&head, 1}, {}, WeightFormat::kStored);
  const Input input(backend, x, {c.rows, c.in});
  const Output scratch(backend, {c.rows, c.out});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(c.rows), -7);
  backend.argmax_logits(input, *w, scratch, ids);
  if (logits != nullptr) *logits = scratch.read();
  return ids;
}

// log-softmax at one id per row; the reference's is the interface's default, in f64.
TEST_P(LinearTest, PickedLogProbsAgreeWithReference) {
  for (const auto& [rows, vocab] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 7}, {2, 1024}, {5, 4099}}) {
    Floats logits = random_floats(static_cast<std::size_t>(rows * vocab), 5, 20.0f);
    logits[0] = 300.0f;  // alone it is nearly certain
    std::vector<std::int32_t> ids;
    for (std::int64_t row = 0; row < rows; ++row) ids.push_back(static_cast<std::int32_t>(row * 97 % vocab));
    const auto run = [&](Backend& backend) {
      const Input input(backend, logits, {rows, vocab});
      const auto memory = backend.allocate(ids.size() * 4);
      const TensorView chosen(memory->data(), DType::kI32, {rows});
      backend.upload(ids.data(), chosen);
      const Output picked(backend, {rows});
      backend.pick_log_probs(input, chosen, picked);
      return picked.read();
    };
    const Floats expected = run(*reference_);
    EXPECT_NEAR(expected[0], 0, 1e-6);
    expect_close(run(*cpu_), expected, tolerance::kLogProb, std::to_string(vocab));
  }
}

TEST_P(LinearTest, ChosenIdsAreThoseOfTheDefinition) {
  for (const LogitKind kind : {LogitKind::kSharp, LogitKind::kFlat, LogitKind::kEqual}) {
    for (const std::size_t vocab : {7, 300}) check_choices(*cpu_, kind, vocab, 6, 0);
  }
}

TEST_P(LinearTest, ArgmaxAgreesWithReference) {
  for (const Case& c : {Case{1, 1, 7}, {3, 7, 31}, {40, 255, 33}, {2, 4099, 64}, {17, 1543, 40}}) {
    const Floats x = random_floats(static_cast<std::size_t>(c.rows * c.in), 1);
    const TestTensor head(random_floats(static_cast<std::size_t>(c.out * c.in), 2), {c.out, c.in});
    Floats logits, expected;
    EXPECT_EQ(run_argmax(*cpu_, c, x, head.tensor, &logits), run_argmax(*reference_, c, x, head.tensor, &expected))
        << c.name();
    expect_close(logits, expected, tolerance::kProduct * 10, c.name());
  }
}

TEST_P(LinearTest, ArgmaxTakesTheFirstOfEqualsAndPassesOverNaN) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr std::int64_t kVocab = 1000;
  // One input of 1: the logits are the weights.
  const auto argmax = [&](const Floats& logits) {
    const TestTensor head(logits, {kVocab, 1});
    return run_argmax(*cpu_, {1, kVocab, 1}, {1.0f}, head.tensor)[0];
  };
  Floats logits(kVocab, -2.0f);
  EXPECT_EQ(argmax(logits), 0);
  for (std::size_t first : {0u, 1u, 31u, 500u, 998u}) {
    Floats ties = logits;
    ties[first] = ties[first + 1] = ties[kVocab - 1] = -1.0f;
    EXPECT_EQ(argmax(ties), static_cast<std::int32_t>(first));
    ties[first] = kNaN;
    EXPECT_EQ(argmax(ties), static_cast<std::int32_t>(first) + 1);
  }
  EXPECT_EQ(argmax(Floats(kVocab, kNaN)), 0);
  Floats low(kVocab, kNaN);
  low[77] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(argmax(low), 77);
}

TEST_P(LinearTest, EmbedReturnsTheStoredRows) {
  for (DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
    const std::int64_t vocab = 101, hidden = 33;
    const TestTensor table(random_floats(static_cast<std::size_t>(vocab * hidden), 2), {vocab, hidden}, dtype);
    const std::vector<std::int32_t> ids = {0, 100, 31, 32, 33, 7, 7};
    const auto run = [&](Backend& backend) {
      const auto w = backend.make_linear({&table.tensor, 1}, {}, WeightFormat::kStored);
      const Output y(backend, {static_cast<std::int64_t>(ids.size()), hidden});
      backend.embed(*w, ids, y);
      return y.read();
    };
    expect_same(run(*cpu_), run(*reference_), std::string(dtype_name(dtype)));
  }
}

TEST_P(LinearTest, ZeroRows) {
  const TestTensor w(random_floats(12, 1), {3, 4});
  const auto weight = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
  EXPECT_TRUE(run_linear(*cpu_, {0, 3, 4}, {}, *weight, {}).empty());
  EXPECT_TRUE(run_gate_up(*cpu_, {0, 3, 4}, {}, w.tensor, w.tensor).empty());
  EXPECT_TRUE(run_argmax(*cpu_, {0, 3, 4}, {}, w.tensor).empty());
}

}  // namespace
}  // namespace qasr::test
