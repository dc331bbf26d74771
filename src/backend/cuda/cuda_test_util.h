// What the tests of the GPU backend share: tensors of a backend's activation type, and comparison with the reference
// backend on inputs that bf16 holds exactly, so that both compute from the same numbers.
#pragma once

#include "backend/backend_test_util.h"

namespace qasr::test {

/// Skips with the reason on machines without a GPU.
class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string problem = cuda_problem();
    if (!problem.empty()) GTEST_SKIP() << problem;
    cuda_ = make_cuda_backend(0);
  }
  /// The weight formats of 8 bits that this GPU has.
  std::vector<WeightFormat> eight_bit_formats() {
    std::vector<WeightFormat> formats = {WeightFormat::kQ8};
    try {
      const TestTensor w(random_floats(32 * 8, 1), {8, 32});
      cuda_->make_linear({&w.tensor, 1}, {}, WeightFormat::kFp8);
      formats.push_back(WeightFormat::kFp8);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("compute capability 9.0"), std::string::npos) << error.what();
    }
    return formats;
  }
  std::unique_ptr<Backend> reference_ = make_reference_backend();
  std::unique_ptr<Backend> cuda_;
};

inline Floats bf16_floats(std::size_t n, std::uint32_t seed, float scale = 1.0f) {
  Floats values = random_floats(n, seed, scale);
  for (float& value : values) value = to_f32(to_bf16(value));
  return values;
}

inline std::vector<bf16> as_bf16(const Floats& values) {
  std::vector<bf16> rounded;
  for (float value : values) rounded.push_back(to_bf16(value));
  return rounded;
}

/// An input of the backend's activation type.
class ActInput {
 public:
  ActInput(Backend& backend, const Floats& values, Shape shape)
      : buffer_(backend.allocate(values.size() * 4 + 4)), view_(buffer_->data(), backend.activation_dtype(), shape) {
    QASR_CHECK(shape.elements() == static_cast<std::int64_t>(values.size()));
    if (view_.dtype == DType::kBf16) {
      backend.upload(as_bf16(values).data(), view_);
    } else {
      backend.upload(values.data(), view_);
    }
  }
  operator ConstTensorView() const { return view_; }
  const TensorView& view() const { return view_; }

 private:
  std::unique_ptr<Buffer> buffer_;
  TensorView view_;
};

/// An output of the backend's activation type, full of NaN between NaN canaries.
class ActOutput {
 public:
  ActOutput(Backend& backend, Shape shape) : backend_(backend), dtype_(backend.activation_dtype()) {
    const std::size_t n = static_cast<std::size_t>(shape.elements()) + 2 * kGuard;
    buffer_ = backend.allocate(n * dtype_bytes(dtype_));
    whole_ = {buffer_->data(), dtype_, {static_cast<std::int64_t>(n)}};
    const std::vector<std::uint16_t> bits(n * dtype_bytes(dtype_) / 2, kCanary);
    backend.upload(bits.data(), whole_);
    view_ = {static_cast<char*>(buffer_->data()) + kGuard * dtype_bytes(dtype_), dtype_, shape};
  }
  operator TensorView() const { return view_; }
  operator ConstTensorView() const { return view_; }

  /// Checks the canaries and that every element was written.
  Floats read() const {
    const std::size_t n = static_cast<std::size_t>(whole_.shape.elements()), width = dtype_bytes(dtype_) / 2;
    std::vector<std::uint16_t> bits(n * width);
    backend_.download(whole_, bits.data());
    Floats values;
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint16_t upper = bits[i * width + width - 1];  // little-endian
      const bool guard = i < kGuard || i >= n - kGuard;
      EXPECT_EQ(upper == kCanary, guard) << (guard ? "written outside, at " : "not written: ") << i;
      if (guard) continue;
      const std::uint32_t low = width == 2 ? bits[i * width] : 0;
      values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16 | low));
    }
    return values;
  }

 private:
  static constexpr std::size_t kGuard = 128;
  static constexpr std::uint16_t kCanary = 0x7fab;
  Backend& backend_;
  DType dtype_;
  std::unique_ptr<Buffer> buffer_;
  TensorView whole_, view_;
};

// A result stored in bf16 is off by half a unit in the last place, 2^-9 of its size; twice that where it is computed
// from a value that was rounded to bf16 itself.
inline constexpr float kBf16Relative = 1.0f / 128;

/// Every element within `absolute` plus a relative bf16 rounding.
inline void expect_close_bf16(const Floats& got, const Floats& expected, float absolute, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  std::size_t n_bad = 0, worst = 0;
  double worst_excess = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double excess =
        std::abs(static_cast<double>(got[i]) - expected[i]) - kBf16Relative * std::abs(expected[i]) - absolute;
    if (excess <= 0) continue;
    ++n_bad;
    if (!(excess <= worst_excess)) worst_excess = excess, worst = i;
  }
  EXPECT_EQ(n_bad, 0U) << what << ": of " << got.size() << " elements; " << worst << " is " << got[worst]
                       << ", expected " << expected[worst];
  for (float value : got) ASSERT_TRUE(std::isfinite(value)) << what;
}

}  // namespace qasr::test
