// The encoder's three convolutions as implicit matrix products: a row of the left factor is the nine taps of one output
// position, each a segment of input channels that the product reads where it lies, in the channels-last image. No
// im2col buffer is ever made. Several chunks go through together so that every stage has tasks for all threads.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

constexpr std::size_t kTaps = 9;

// Images of one stage: [n_images, height, width, channels].
struct Images {
  std::size_t n_images, height, width, channels;
  std::size_t elements() const { return n_images * height * width * channels; }
  Images next(std::size_t out_channels) const {
    return {n_images, (height - 1) / 2 + 1, (width - 1) / 2 + 1, out_channels};
  }
};

// Addresses of the nine taps of output position (image, row, column); a tap in the padding reads zeros.
void fill_taps(const Images& in, const float* data, const float* zeros, std::size_t image, std::size_t row,
               std::size_t column, const float** taps) {
  for (std::size_t tap = 0; tap < kTaps; ++tap) {
    // 2 * position + tap - 1; the padding above and left wraps around to huge and fails the comparison too.
    const std::size_t y = 2 * row + tap / 3 - 1, x = 2 * column + tap % 3 - 1;
    const bool inside = y < in.height && x < in.width;
    taps[tap] = inside ? data + ((image * in.height + y) * in.width + x) * in.channels : zeros;
  }
}

// out = gelu(conv(in) + bias), 3x3, stride 2, padding 1.    out  [n_images, height', width', channels']
void convolve(const Context& context, const Images& in, const float* data, const float* zeros,
              const PackedMatrix& weight, float* out) {
  const Images shape = in.next(weight.n_features);
  const std::size_t positions = shape.height * shape.width, n_rows = shape.n_images * positions;
  const isa::KernelTable& isa = context.isa;
  const auto fill = [&](std::size_t begin, std::size_t count, const float** taps) {
    for (std::size_t i = begin; i < begin + count; ++i, taps += kTaps) {
      fill_taps(in, data, zeros, i / positions, i % positions / shape.width, i % shape.width, taps);
    }
  };
  const ProductPlan plan = plan_product(context, weight.panels, n_rows, 1, true);
  blocked_product(context, plan, n_rows, kTaps, in.channels, fill, weight, [&](const SumTile& tile) {
    const std::size_t column = tile.panel_begin * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels * isa.panel_width, shape.channels - column);
    isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, {.bias = weight.bias_from(column), .gelu = true},
                      out + tile.row_begin * shape.channels + column, shape.channels);
  });
}

// [image, row, column, channel] -> [image * width + column, channel * height + row]
void transpose(const Context& context, const Images& in, const float* from, float* to) {
  context.pool.parallel_for(in.n_images * in.width, [&](std::size_t token, int) {
    const std::size_t image = token / in.width, column = token % in.width;
    float* row_out = to + token * in.channels * in.height;
    for (std::size_t row = 0; row < in.height; ++row) {
      const float* channels = from + ((image * in.height + row) * in.width + column) * in.channels;
      for (std::size_t channel = 0; channel < in.channels; ++channel)
        row_out[channel * in.height + row] = channels[channel];
    }
  });
}

// As many chunks as fit 4 MiB of activations per thread, at least one: work for all threads, near the cache.
std::size_t chunks_per_pass(const Context& context, std::size_t chunk_bytes) {
  const std::size_t budget = static_cast<std::size_t>(context.pool.n_threads()) * (std::size_t{4} << 20);
  return std::max<std::size_t>(1, budget / std::max<std::size_t>(1, chunk_bytes));
}

}  // namespace

void CpuBackend::conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) {
  check_conv_stem(x, w, y);
  const auto& stem = static_cast<const PackedConvStem&>(w);
  const auto channels = static_cast<std::size_t>(w.channels()), n_chunks = static_cast<std::size_t>(x.shape[0]);
  Images in{1, static_cast<std::size_t>(x.shape[1]), static_cast<std::size_t>(x.shape[2]), 1};
  const Images first = in.next(channels), second = first.next(channels), third = second.next(channels);
  const std::size_t chunk_floats = first.elements() + second.elements() + third.elements();
  const std::size_t per_pass = std::min(n_chunks, chunks_per_pass(context_, chunk_floats * sizeof(float)));
  auto lease = context_.scratch.lease(ScratchPool::bytes_for<float>(per_pass * chunk_floats + channels));
  float* one = lease.take<float>(per_pass * chunk_floats + channels);
  float* two = one + per_pass * first.elements();
  float* three = two + per_pass * second.elements();
  float* zeros = three + per_pass * third.elements();
  std::fill_n(zeros, channels, 0.0f);
  for (std::size_t chunk = 0; chunk < n_chunks; chunk += per_pass) {
    in.n_images = std::min(per_pass, n_chunks - chunk);
    const Images a = in.next(channels), b = a.next(channels), c = b.next(channels);
    convolve(context_, in, x.as<float>() + chunk * in.height * in.width, zeros, stem.convs[0], one);
    convolve(context_, a, one, zeros, stem.convs[1], two);
    convolve(context_, b, two, zeros, stem.convs[2], three);
    transpose(context_, c, three, y.as<float>() + chunk * third.elements());
  }
}

}  // namespace qasr::cpu
