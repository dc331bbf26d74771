// Norms and the operations that move rows.
#include "backend/backend_test_util.h"

namespace qasr::test {
namespace {

class RowwiseTest : public BackendTest {};
QASR_FOR_EVERY_ISA(RowwiseTest);

constexpr std::int64_t kDims[] = {1, 7, 31, 32, 33, 128, 255, 896, 1024, 2048};

Floats run_norm(Backend& backend, bool layer_norm, const Floats& x, std::int64_t rows, std::int64_t dim,
                bool in_place) {
  const Floats weight = random_floats(static_cast<std::size_t>(dim), 5), bias = random_floats(weight.size(), 6);
  const Input input(backend, x, {rows, dim}), w(backend, weight, {dim}), b(backend, bias, {dim});
  const Output y(backend, {rows, dim}, in_place ? &x : nullptr);
  const ConstTensorView from = in_place ? ConstTensorView(y) : ConstTensorView(input);
  if (layer_norm) {
    backend.layer_norm(from, w, b, 1e-5f, y);
  } else {
    backend.rms_norm(from, w, 1e-6f, y);
  }
  return y.read();
}

TEST_P(RowwiseTest, NormsAgreeWithReferenceInPlaceAndRowByRow) {
  for (std::int64_t dim : kDims) {
    for (std::int64_t rows : {1, 3, 70}) {
      Floats x = random_floats(static_cast<std::size_t>(rows * dim), static_cast<std::uint32_t>(dim));
      for (std::size_t i = 0; i < x.size(); i += 64) x[i] *= 40;  // outlier channels, as real activations have
      for (bool layer_norm : {false, true}) {
        const std::string what = (layer_norm ? "layer norm " : "rms norm ") + Shape({rows, dim}).to_string();
        const Floats y = run_norm(*cpu_, layer_norm, x, rows, dim, false);
        expect_close(y, run_norm(*reference_, layer_norm, x, rows, dim, false), tolerance::kNorm, what);
        expect_same(run_norm(*cpu_, layer_norm, x, rows, dim, true), y, what + " in place");
        expect_same(run_norm(*cpu_, layer_norm, rows_of(x, dim, rows - 1, 1), 1, dim, false),
                    rows_of(y, dim, rows - 1, 1), what + " last row alone");
      }
    }
  }
}

TEST_P(RowwiseTest, RowMovesAreExact) {
  const std::vector<std::int32_t> x_rows = {4, 0, 4, 2}, table_rows = {1, 2, 0, 0};
  for (std::int64_t dim : kDims) {
    const Floats x = random_floats(static_cast<std::size_t>(5 * dim), 1);
    const Floats table = random_floats(static_cast<std::size_t>(3 * dim), 2);
    const auto run = [&](Backend& backend) {
      const Input in(backend, x, {5, dim}), positions(backend, table, {3, dim});
      const Output sum(backend, {4, dim}), gathered(backend, {4, dim}), scattered(backend, {5, dim}, &x);
      backend.gather_rows_add(in, x_rows, positions, table_rows, sum);
      backend.gather_rows(in, x_rows, gathered);
      backend.scatter_rows(positions, std::vector<std::int32_t>{3, 0, 4}, scattered);
      Floats all = sum.read();
      for (const Output* output : {&gathered, &scattered}) {
        const Floats more = output->read();
        all.insert(all.end(), more.begin(), more.end());
      }
      return all;
    };
    expect_same(run(*cpu_), run(*reference_), "dim " + std::to_string(dim));
  }
}

TEST_P(RowwiseTest, RefusesRowsOutOfRange) {
  const Input x(*cpu_, random_floats(10, 1), {5, 2});
  const Output y(*cpu_, {1, 2});
  for (std::int32_t row : {-1, 5}) {
    EXPECT_THROW(cpu_->gather_rows(x, std::vector<std::int32_t>{row}, y), Error);
    EXPECT_THROW(cpu_->scatter_rows(ConstTensorView(y), std::vector<std::int32_t>{row}, x), Error);
  }
}

}  // namespace
}  // namespace qasr::test
