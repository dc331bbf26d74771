// The convolution stem: any channels, heights and widths, and chunks that do not influence each other.
#include "backend/backend_test_util.h"

namespace qasr::test {
namespace {

class ConvStemTest : public BackendTest {};
QASR_FOR_EVERY_ISA(ConvStemTest);

struct Case {
  std::int64_t channels, n_chunks, height, width;
  std::string name() const { return Shape({channels, n_chunks, height, width}).to_string(); }
  std::size_t input_size() const { return static_cast<std::size_t>(n_chunks * height * width); }
  Shape output() const { return {n_chunks * conv_out_length(width, 3), channels * conv_out_length(height, 3)}; }
};

Floats run(Backend& backend, const Case& c, const Floats& x, DType dtype = DType::kF32,
           WeightFormat format = WeightFormat::kStored) {
  const auto n = static_cast<std::size_t>(c.channels);
  const float scale = 1.5f * std::sqrt(3.0f / (9.0f * static_cast<float>(c.channels)));
  const TestTensor w1(random_floats(n * 9, 1), {c.channels, 1, 3, 3}, dtype);
  const TestTensor w2(random_floats(n * n * 9, 2, scale), {c.channels, c.channels, 3, 3}, dtype);
  const TestTensor w3(random_floats(n * n * 9, 3, scale), {c.channels, c.channels, 3, 3}, dtype);
  const TestTensor b1(random_floats(n, 4), {c.channels}), b2(random_floats(n, 5), {c.channels}),
      b3(random_floats(n, 6), {c.channels});
  const HostTensor weights[] = {w1.tensor, w2.tensor, w3.tensor}, biases[] = {b1.tensor, b2.tensor, b3.tensor};
  const auto stem = backend.make_conv_stem(weights, biases, format);
  EXPECT_EQ(stem->channels(), c.channels);
  const Input input(backend, x, {c.n_chunks, c.height, c.width});
  const Output y(backend, c.output());
  backend.conv_stem(input, *stem, y);
  return y.read();
}

TEST_P(ConvStemTest, AgreesWithReference) {
  std::vector<Case> cases = {{7, 2, 128, 100}, {12, 3, 80, 33}, {33, 1, 16, 20},
                             {1, 1, 1, 1},     {20, 5, 9, 2},   {5, 0, 80, 100}};
  for (std::int64_t width : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 50, 99}) cases.push_back({7, 2, 80, width});
  for (const Case& c : cases) {
    const Floats x = random_floats(c.input_size(), 9);
    expect_close(run(*cpu_, c, x), run(*reference_, c, x), tolerance::kConvStem, c.name());
  }
}

TEST_P(ConvStemTest, OfficialChannelCount) {
  const Case c{480, 1, 16, 9};
  const Floats x = random_floats(c.input_size(), 9);
  expect_close(run(*cpu_, c, x, DType::kBf16), run(*reference_, c, x, DType::kBf16), tolerance::kConvStem, c.name());
}

TEST_P(ConvStemTest, ChunksDoNotDependOnTheirNumber) {
  const Case all{32, 40, 128, 30}, one{32, 1, 128, 30};  // more chunks than go through at once
  const Floats x = random_floats(all.input_size(), 9), together = run(*cpu_, all, x);
  const Shape out = one.output();
  for (std::int64_t chunk = 0; chunk < all.n_chunks; ++chunk) {
    const Floats alone = run(*cpu_, one, rows_of(x, all.height * all.width, chunk, 1));
    expect_same(alone, rows_of(together, out[1], chunk * out[0], out[0]), "chunk " + std::to_string(chunk));
  }
}

TEST_P(ConvStemTest, FormatsOfTheSameValuesAgreeBitForBit) {
  const Case c{20, 2, 80, 25};
  const Floats x = random_floats(c.input_size(), 9);
  expect_same(run(*cpu_, c, x, DType::kBf16), run(*cpu_, c, x, DType::kBf16, WeightFormat::kF32), "bf16 against f32");
}

}  // namespace
}  // namespace qasr::test
