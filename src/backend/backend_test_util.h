// What the backend tests share: deterministic data, checkpoint tensors at unaligned addresses, and outputs that notice
// a write past their end and an element nobody wrote.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/isa_selection.h"
#include "backend/registry.h"
#include "tolerance.h"

namespace qasr::test {

using Floats = std::vector<float>;

/// Pseudo-random values in [-scale, scale), a function of seed and index.
inline Floats random_floats(std::size_t n, std::uint32_t seed, float scale = 1.0f) {
  Floats values(n);
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 0x9e3779b1u + seed * 0x85ebca6bu + 1;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    x ^= x >> 16;
    values[i] = (static_cast<float>(x >> 8) / 8388608.0f - 1.0f) * scale;
  }
  return values;
}

/// Owns the bytes of a HostTensor, at an odd address.
class TestTensor {
 public:
  TestTensor(const Floats& values, Shape shape, DType dtype = DType::kF32) {
    bytes_.resize(1 + values.size() * dtype_bytes(dtype));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (dtype == DType::kF32) {
        std::memcpy(bytes_.data() + 1 + 4 * i, &values[i], 4);
      } else {
        const std::uint16_t bits = dtype == DType::kBf16 ? to_bf16(values[i]).bits : to_f16_bits(values[i]);
        std::memcpy(bytes_.data() + 1 + 2 * i, &bits, 2);
      }
    }
    tensor = {"test", dtype, shape, std::span<const std::byte>(bytes_).subspan(1)};
  }
  TestTensor(const TestTensor&) = delete;
  HostTensor tensor;

 private:
  // Truncates; values of the tests are small enough to be normal numbers or zero.
  static std::uint16_t to_f16_bits(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const int exponent = static_cast<int>(bits >> 23 & 0xff) - 112;
    if (exponent <= 0) return static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | static_cast<std::uint32_t>(exponent) << 10 |
                                      (bits >> 13 & 0x3ffu));
  }
  std::vector<std::byte> bytes_;
};

/// A tensor on a backend, filled from the host.
class Input {
 public:
  Input(Backend& backend, const Floats& values, Shape shape)
      : buffer_(backend.allocate(values.size() * 4 + 4)), view_(buffer_->data(), DType::kF32, shape) {
    QASR_CHECK(shape.elements() == static_cast<std::int64_t>(values.size()));
    if (!values.empty()) backend.upload(values.data(), view_);
  }
  operator ConstTensorView() const { return view_; }
  operator TensorView() const { return view_; }
  const TensorView& view() const { return view_; }

 private:
  std::unique_ptr<Buffer> buffer_;
  TensorView view_;
};

/// An output full of NaN between NaN canaries.
class Output {
 public:
  Output(Backend& backend, Shape shape, const Floats* initial = nullptr) : backend_(backend) {
    const auto n = static_cast<std::size_t>(shape.elements());
    buffer_ = backend.allocate((n + 2 * kGuard) * 4);
    view_ = {static_cast<float*>(buffer_->data()) + kGuard, DType::kF32, shape};
    Floats all(n + 2 * kGuard, std::bit_cast<float>(kCanary));
    if (initial != nullptr) std::copy(initial->begin(), initial->end(), all.begin() + kGuard);
    backend.upload(all.data(), whole());
  }
  operator TensorView() const { return view_; }
  operator ConstTensorView() const { return view_; }

  /// Checks the canaries and that every element was written.
  Floats read() const {
    Floats all(static_cast<std::size_t>(whole().shape.elements()));
    backend_.download(whole(), all.data());
    for (std::size_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(all[i]), kCanary) << "written before the start";
      EXPECT_EQ(std::bit_cast<std::uint32_t>(all[all.size() - 1 - i]), kCanary) << "written past the end";
    }
    Floats values(all.begin() + kGuard, all.end() - kGuard);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::bit_cast<std::uint32_t>(values[i]) == kCanary) {
        ADD_FAILURE() << "element " << i << " was not written";
        break;
      }
    }
    return values;
  }

 private:
  static constexpr std::size_t kGuard = 80;  // more than any vector or panel
  static constexpr std::uint32_t kCanary = 0x7fc0beef;
  TensorView whole() const {
    return {buffer_->data(), DType::kF32, {view_.shape.elements() + 2 * static_cast<std::int64_t>(kGuard)}};
  }
  Backend& backend_;
  std::unique_ptr<Buffer> buffer_;
  TensorView view_;
};

inline void expect_close(const Floats& got, const Floats& expected, float tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - expected[i]);
    if (!(difference <= worst)) worst = difference, at = i;  // a NaN is the worst
  }
  if (!got.empty()) {
    EXPECT_LE(worst, tolerance) << what << ": element " << at << " is " << got[at] << ", expected " << expected[at];
  }
}

/// Bit for bit.
inline void expect_same(const Floats& got, const Floats& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  if (!got.empty()) {
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * 4), 0) << what;
  }
}

/// Rows [begin, begin + count) of a row-major matrix.
inline Floats rows_of(const Floats& matrix, std::int64_t cols, std::int64_t begin, std::int64_t count) {
  return {matrix.begin() + begin * cols, matrix.begin() + (begin + count) * cols};
}

/// Runs a test once per instruction set of this machine, against the reference backend. Three threads: more than the
/// tasks of small cases, fewer than those of large ones.
class BackendTest : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Backend> reference_ = make_reference_backend();
  std::unique_ptr<Backend> cpu_ = make_cpu_backend(3, GetParam());
};

/// "avx512_vnni": test names have no dashes.
inline std::string isa_name(const ::testing::TestParamInfo<std::string>& isa) {
  std::string name = isa.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

#define QASR_FOR_EVERY_ISA(suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(::qasr::cpu::supported_isas()), ::qasr::test::isa_name)

}  // namespace qasr::test
