// Three 3x3 convolutions of stride 2 and padding 1, each with bias and exact GELU, one chunk at a time.
#include "backend/op_checks.h"
#include "backend/reference/quantized.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {
namespace {

struct Plane {
  std::int64_t channels, height, width;
  std::vector<float> values;  // [channels, height, width]
};

// Sum over input channels and the 3x3 neighbourhood around (2 * row, 2 * col); outside the plane is zero.
double convolve_at(const Plane& in, const float* kernel, std::int64_t row, std::int64_t col) {
  double sum = 0;
  for (std::int64_t channel = 0; channel < in.channels; ++channel) {
    for (std::int64_t kh = 0; kh < 3; ++kh) {
      for (std::int64_t kw = 0; kw < 3; ++kw) {
        const std::int64_t h = 2 * row + kh - 1, w = 2 * col + kw - 1;
        if (h < 0 || h >= in.height || w < 0 || w >= in.width) continue;
        const float value = in.values[static_cast<std::size_t>((channel * in.height + h) * in.width + w)];
        sum += static_cast<double>(value) * kernel[(channel * 3 + kh) * 3 + kw];
      }
    }
  }
  return sum;
}

Plane conv_gelu(const Plane& in, const std::vector<float>& weight, const std::vector<float>& bias) {
  Plane out{static_cast<std::int64_t>(bias.size()), conv_out_length(in.height, 1), conv_out_length(in.width, 1), {}};
  out.values.reserve(static_cast<std::size_t>(out.channels * out.height * out.width));
  for (std::int64_t channel = 0; channel < out.channels; ++channel) {
    const float* kernel = weight.data() + channel * in.channels * 9;
    for (std::int64_t row = 0; row < out.height; ++row) {
      for (std::int64_t col = 0; col < out.width; ++col) {
        out.values.push_back(gelu(convolve_at(in, kernel, row, col) + bias[static_cast<std::size_t>(channel)]));
      }
    }
  }
  return out;
}

// Channels of every position, in blocks.
void round_positions(Plane& plane) {
  const auto positions = static_cast<std::size_t>(plane.height * plane.width);
  for (std::size_t position = 0; position < positions; ++position) {
    round_activations(&plane.values[position], static_cast<std::size_t>(plane.channels), positions);
  }
}

}  // namespace

void ReferenceBackend::conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) {
  check_conv_stem(x, w, y);
  const auto& stem = static_cast<const ConvStem&>(w);
  const std::int64_t height = x.shape[1], width = x.shape[2];
  for (std::int64_t chunk = 0; chunk < x.shape[0]; ++chunk) {
    const float* in = x.as<float>() + chunk * height * width;
    Plane plane{1, height, width, std::vector<float>(in, in + height * width)};
    for (std::size_t conv = 0; conv < 3; ++conv) {
      if (conv > 0 && stem.quantizes_inputs) round_positions(plane);
      plane = conv_gelu(plane, stem.weight[conv], stem.bias[conv]);
    }
    float* out = y.as<float>() + chunk * plane.width * y.cols();
    for (std::int64_t channel = 0; channel < plane.channels; ++channel) {
      for (std::int64_t row = 0; row < plane.height; ++row) {
        for (std::int64_t col = 0; col < plane.width; ++col) {
          const std::int64_t index = channel * plane.height + row;
          out[col * y.cols() + index] = plane.values[static_cast<std::size_t>(index * plane.width + col)];
        }
      }
    }
  }
}

}  // namespace qasr::reference
