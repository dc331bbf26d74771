// Matrices of 8 bits on the GPU, and norms fused with products: against the reference backend.
#include <numeric>

#include "backend/cuda/cuda_test_util.h"

namespace qasr::test {
namespace {

constexpr std::int64_t kSizes[][2] = {{8, 32}, {40, 288}, {1024, 896}, {264, 3072}, {8504, 64}};  // out, in
constexpr std::int64_t kRowCounts[] = {1, 3, 4, 5, 33, 200};

float weight_scale(std::int64_t in) { return std::sqrt(3.0f / static_cast<float>(in)); }

class CudaEightBitTest : public CudaTest {};

std::string name_of(WeightFormat format, const std::int64_t (&size)[2]) {
  return (format == WeightFormat::kQ8 ? "q8 " : "fp8 ") + Shape({size[0], size[1]}).to_string();
}

// The values of every row, as the embedding look-up gives them.
Floats held_values(Backend& backend, const LinearWeight& w) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(w.out_features()));
  std::iota(ids.begin(), ids.end(), 0);
  const Output rows(backend, {w.out_features(), w.in_features()});
  backend.embed(w, ids, rows);
  return rows.read();
}

// Codes are those of the reference but for values half-way between two: off by one step there.
TEST_F(CudaEightBitTest, HoldsWhatTheReferenceHolds) {
  for (WeightFormat format : eight_bit_formats()) {
    for (const auto& size : kSizes) {
      const TestTensor w(bf16_floats(static_cast<std::size_t>(size[0] * size[1]), 2), {size[0], size[1]}, DType::kBf16);
      const auto gpu = cuda_->make_linear({&w.tensor, 1}, {}, format);
      const auto reference = reference_->make_linear({&w.tensor, 1}, {}, format);
      const Floats found = held_values(*cuda_, *gpu), expected = held_values(*reference_, *reference);
      std::size_t n_off = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const float step = format == WeightFormat::kQ8 ? 1.0f / 127 : std::abs(expected[i]) / 8 + 1e-3f;
        ASSERT_NEAR(found[i], expected[i], 1.1f * step) << name_of(format, size) << " at " << i;
        if (std::abs(found[i] - expected[i]) > 1e-5f) ++n_off;
      }
      EXPECT_LE(n_off, found.size() / 50) << name_of(format, size);
      EXPECT_LE(gpu->bytes(),
                static_cast<std::size_t>(size[0] * size[1]) * 17 / 16 + static_cast<std::size_t>(size[0]) * 4);
    }
  }
}

// A few rows meet the held values; many meet them rounded to bf16 (q8), or are rounded to e4m3 themselves (fp8).
TEST_F(CudaEightBitTest, ProductsAgreeWithTheValuesHeld) {
  for (WeightFormat format : eight_bit_formats()) {
    for (const auto& size : kSizes) {
      const std::int64_t out = size[0], in = size[1];
      const TestTensor w(bf16_floats(static_cast<std::size_t>(out * in), 2, weight_scale(in)), {out, in}, DType::kBf16);
      const TestTensor b(bf16_floats(static_cast<std::size_t>(out), 3), {out}, DType::kBf16);
      const auto gpu = cuda_->make_linear({&w.tensor, 1}, {&b.tensor, 1}, format);
      const TestTensor held(held_values(*cuda_, *gpu), {out, in});
      const auto reference = reference_->make_linear({&held.tensor, 1}, {&b.tensor, 1}, WeightFormat::kF32);
      for (std::int64_t rows : kRowCounts) {
        const Floats x = bf16_floats(static_cast<std::size_t>(rows * in), 1);
        const Floats residual = random_floats(static_cast<std::size_t>(rows * out), 4);
        const bool few = rows <= 4;
        const float tolerance = few ? 1e-4f : format == WeightFormat::kQ8 ? 1.5e-2f : 0.2f;
        const std::string what = name_of(format, size) + ", rows " + std::to_string(rows);
        const auto run = [&](Backend& backend, const LinearWeight& weight, bool accumulate) {
          const ActInput input(backend, x, {rows, in});
          const Output y(backend, {rows, out}, accumulate ? &residual : nullptr);
          backend.linear(input, weight, y, {.accumulate = accumulate});
          return y.read();
        };
        for (bool accumulate : {false, true}) {
          expect_close(run(*cuda_, *gpu, accumulate), run(*reference_, *reference, accumulate), tolerance, what);
        }
        const ActInput gpu_x(*cuda_, x, {rows, in}), reference_x(*reference_, x, {rows, in});
        const ActOutput gpu_y(*cuda_, {rows, out}), reference_y(*reference_, {rows, out});
        cuda_->linear(gpu_x, *gpu, gpu_y, {Activation::kGelu});
        reference_->linear(reference_x, *reference, reference_y, {Activation::kGelu});
        expect_close_bf16(gpu_y.read(), reference_y.read(), tolerance + 1e-2f, what + " gelu");
      }
    }
  }
}

TEST_F(CudaEightBitTest, GateUpAgreesWithTheValuesHeld) {
  for (WeightFormat format : eight_bit_formats()) {
    const std::int64_t d_ff = 328, in = 288;
    const auto n = static_cast<std::size_t>(d_ff * in);
    const TestTensor gate(bf16_floats(n, 2, weight_scale(in)), {d_ff, in}, DType::kBf16);
    const TestTensor up(bf16_floats(n, 3, weight_scale(in)), {d_ff, in}, DType::kBf16);
    const auto gpu = cuda_->make_gate_up(gate.tensor, up.tensor, format);
    const Floats held = held_values(*cuda_, *gpu);
    const auto half = held.begin() + static_cast<std::ptrdiff_t>(n);
    const TestTensor held_gate(Floats(held.begin(), half), {d_ff, in}), held_up(Floats(half, held.end()), {d_ff, in});
    const auto reference = reference_->make_gate_up(held_gate.tensor, held_up.tensor, WeightFormat::kF32);
    for (std::int64_t rows : kRowCounts) {
      const Floats x = bf16_floats(static_cast<std::size_t>(rows * in), 1);
      const auto run = [&](Backend& backend, const LinearWeight& w) {
        const ActInput input(backend, x, {rows, in});
        const ActOutput y(backend, {rows, d_ff});
        backend.gate_up_silu(input, w, y);
        return y.read();
      };
      const float tolerance = rows <= 4 ? 2e-3f : format == WeightFormat::kQ8 ? 3e-2f : 0.3f;
      expect_close_bf16(run(*cuda_, *gpu), run(*reference_, *reference), tolerance, "rows " + std::to_string(rows));
    }
  }
}

// ---- RMSNorm in front of a product ----------------------------------------------------------------------------------

using CudaFusedTest = CudaTest;

TEST_F(CudaFusedTest, NormGateUpAgreesWithReference) {
  for (std::int64_t rows : kRowCounts) {
    for (const auto& size : kSizes) {
      const std::int64_t d_ff = size[0], in = size[1];
      const auto n = static_cast<std::size_t>(d_ff * in);
      const TestTensor gate(bf16_floats(n, 2, weight_scale(in)), {d_ff, in}, DType::kBf16);
      const TestTensor up(bf16_floats(n, 3, weight_scale(in)), {d_ff, in}, DType::kBf16);
      Floats x = random_floats(static_cast<std::size_t>(rows * in), 1);
      for (std::size_t i = 0; i < x.size(); i += 64) x[i] *= 40;
      const Floats norm = random_floats(static_cast<std::size_t>(in), 5);
      const auto run = [&](Backend& backend) {
        const auto w = backend.make_gate_up(gate.tensor, up.tensor, WeightFormat::kBf16);
        const Input input(backend, x, {rows, in}), weight(backend, norm, {in});
        const ActOutput normed(backend, {rows, in}), y(backend, {rows, d_ff});
        backend.norm_gate_up_silu(input, {weight.view(), 1e-6f}, *w, normed, y);
        return y.read();
      };
      expect_close_bf16(run(*cuda_), run(*reference_), 4e-2f, Shape({rows, d_ff, in}).to_string());
    }
  }
}

TEST_F(CudaFusedTest, NormArgmaxAgreesWithReference) {
  for (std::int64_t rows : kRowCounts) {
    const std::int64_t vocab = 4104, in = 96;
    const TestTensor head(bf16_floats(static_cast<std::size_t>(vocab * in), 2), {vocab, in}, DType::kBf16);
    const Floats x = random_floats(static_cast<std::size_t>(rows * in), 1), norm(static_cast<std::size_t>(in), 1.5f);
    const auto run = [&](Backend& backend) {
      const auto w = backend.make_linear({&head.tensor, 1}, {}, WeightFormat::kBf16);
      const Input input(backend, x, {rows, in}), weight(backend, norm, {in});
      const ActOutput normed(backend, {rows, in});
      const Output logits(backend, {rows, vocab});
      const auto buffer = backend.allocate(static_cast<std::size_t>(rows) * 4);
      const TensorView ids(buffer->data(), DType::kI32, {rows});
      backend.norm_argmax_ids(input, {weight.view(), 1e-6f}, *w, normed, logits, ids);
      std::vector<std::int32_t> found(static_cast<std::size_t>(rows));
      backend.download(ids, found.data());
      return std::pair(logits.read(), found);
    };
    const auto found = run(*cuda_), expected = run(*reference_);
    expect_close(found.first, expected.first, 0.15f, "rows " + std::to_string(rows));
    for (std::size_t r = 0; r < found.second.size(); ++r) {  // each takes the largest of its own logits
      const auto row = found.first.begin() + static_cast<std::ptrdiff_t>(r) * vocab;
      EXPECT_EQ(found.second[r], std::max_element(row, row + vocab) - row);
    }
  }
}

}  // namespace
}  // namespace qasr::test
