// The encoder's three convolutions as implicit matrix products: a row of the left factor is the nine taps of one output
// position, each a segment of input channels that the product reads where it lies, in the channels-last image. No
// im2col buffer is ever made. Several chunks go through together so that every stage has tasks for all threads.
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/product.h"
#include "backend/cpu/row_sink.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

constexpr std::size_t kTaps = 9;

// Images of one stage: [n_images, width, height, channels], time before frequency, so that the frequencies of a moment,
// a power of two of them in the official models, are neighbours. The input alone is [n_images, height, width].
struct Images {
  std::size_t n_images, height, width, channels;
  std::size_t positions() const { return n_images * height * width; }
  std::size_t elements() const { return positions() * channels; }
  Images next(std::size_t out_channels) const {
    return {n_images, (height - 1) / 2 + 1, (width - 1) / 2 + 1, out_channels};
  }
};

// Images as records have a record of zeros at either end of every line of frequencies: so the taps of a line's
// positions are equally far apart, which tile registers want (isa/tile_gemm.h).
std::size_t padded_height(const Images& images) { return images.height + 2; }
std::size_t padded_positions(const Images& images) { return images.n_images * images.width * padded_height(images); }

// Position `position` of the output and its taps: tap / 3 counts frequencies, tap % 3 moments, as in the weights.
struct Taps {
  std::size_t image, row, column;

  Taps(const Images& out, std::size_t position)
      : image(position / (out.width * out.height)),
        row(position % out.height),
        column(position / out.height % out.width) {}
  // 2 * position + tap - 1; the padding wraps around to huge, which is outside too.
  std::size_t y(std::size_t tap) const { return 2 * row + tap / 3 - 1; }
  std::size_t x(std::size_t tap) const { return 2 * column + tap % 3 - 1; }
};

// Calls finish(SumTile) for the products of every output position with the weights, 3x3, stride 2, padding 1.
//   address(image, y, x)  of a position inside; taps in the padding read zeros
template <typename Address, typename Finish>
void convolve_floats(const Context& context, const Images& in, const Address& address, const float* zeros,
                     const PackedMatrix& weight, std::size_t panel_multiple, const Finish& finish) {
  const Images out = in.next(weight.n_features);
  const auto fill = [&](std::size_t begin, std::size_t count, const float** to) {
    for (std::size_t position = begin; position < begin + count; ++position, to += kTaps) {
      const Taps taps(out, position);
      for (std::size_t tap = 0; tap < kTaps; ++tap) {
        const std::size_t y = taps.y(tap), x = taps.x(tap);
        to[tap] = y < in.height && x < in.width ? address(taps.image, y, x) : zeros;
      }
    }
  };
  const std::size_t n_rows = out.positions();
  const ProductPlan plan = plan_product(context, weight, n_rows, panel_multiple, true);
  blocked_product(context, plan, n_rows, kTaps, in.channels, fill, weight, finish);
}

// Addresses in the images between the stages.
auto address_in(const Images& in, const float* data) {
  return [&in, data](std::size_t image, std::size_t y, std::size_t x) {
    return data + ((image * in.width + x) * in.height + y) * in.channels;
  };
}

// The same with 8-bit activations: padded images of one record per position, `zeros` is a line of records of zeros.
template <typename Finish>
void convolve_records(const Context& context, const Images& in, const isa::RecordLayout& layout, const std::byte* data,
                      const std::byte* zeros, const PackedMatrix& weight, std::size_t panel_multiple,
                      const Finish& finish) {
  const Images out = in.next(weight.n_features);
  const std::size_t n_rows = out.positions(), line_bytes = padded_height(in) * layout.bytes;
  auto lease = context.scratch.lease(ScratchPool::bytes_for<const std::byte*>(n_rows * kTaps));
  const std::byte** to = lease.take<const std::byte*>(n_rows * kTaps);
  context.pool.parallel_for(out.n_images * out.width, [&](std::size_t line, int) {
    for (std::size_t position = line * out.height; position < (line + 1) * out.height; ++position) {
      const Taps taps(out, position);
      for (std::size_t tap = 0; tap < kTaps; ++tap) {
        const std::size_t x = taps.x(tap);
        const std::byte* from = x < in.width ? data + (taps.image * in.width + x) * line_bytes : zeros;
        to[position * kTaps + tap] = from + (taps.y(tap) + 1) * layout.bytes;
      }
    }
  });
  const ProductPlan plan = plan_product(context, weight, n_rows, panel_multiple, true);
  quantized_product(context, plan, {to, n_rows, kTaps, layout}, weight, finish);
}

// What follows a convolution: bias and GELU, then the image of the next stage, as floats or as records.
struct FloatImage {
  const isa::KernelTable& isa;
  const PackedMatrix& weight;
  float* out;  // [positions, channels]

  void operator()(const SumTile& tile) const {
    const std::size_t column = tile.panel_begin * isa.panel_width, channels = weight.n_features;
    const std::size_t columns = std::min(tile.n_panels * isa.panel_width, channels - column);
    isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, {.bias = weight.bias_from(column), .gelu = true},
                      out + tile.row_begin * channels + column, channels);
  }
};

struct RecordImage {
  const isa::KernelTable& isa;
  const PackedMatrix& weight;
  RowSink out;  // [padded positions, channels]
  std::size_t height;

  void operator()(const SumTile& tile) const {
    const std::size_t column = tile.panel_begin * isa.panel_width;
    const std::size_t columns = std::min(tile.n_panels * isa.panel_width, weight.n_features - column);
    isa.finish_linear(tile.sums, tile.stride, tile.n_rows, columns, {.bias = weight.bias_from(column), .gelu = true},
                      tile.sums, tile.stride);
    for (std::size_t row = 0; row < tile.n_rows; ++row) {
      const std::size_t position = tile.row_begin + row, padded = position + position / height * 2 + 1;
      out.round(padded, column, tile.sums + row * tile.stride, columns);
    }
  }
};

void clear_padding(const Images& images, std::size_t record_bytes, std::byte* records) {
  const std::size_t line_bytes = padded_height(images) * record_bytes;
  for (std::size_t line = 0; line < images.n_images * images.width; ++line, records += line_bytes) {
    std::fill_n(records, record_bytes, std::byte{0});
    std::fill_n(records + line_bytes - record_bytes, record_bytes, std::byte{0});
  }
}

// [image, moment, frequency, channel] -> [first_token + image * width + moment, channel * height + frequency]
void transpose(const Context& context, const Images& in, const float* from, std::size_t first_token,
               const RowSink& out) {
  const std::size_t row_floats = in.channels * in.height, scratch_row = round_up(row_floats, 16);
  const auto n_threads = static_cast<std::size_t>(context.pool.n_threads());
  const std::size_t scratch_floats = out.is_rounded() ? n_threads * scratch_row : 0;
  auto lease = context.scratch.lease(ScratchPool::bytes_for<float>(scratch_floats));
  float* scratch = lease.take<float>(scratch_floats);
  context.pool.parallel_for(in.n_images * in.width, [&](std::size_t token, int worker) {
    float* to =
        out.is_rounded() ? scratch + static_cast<std::size_t>(worker) * scratch_row : out.at(first_token + token, 0);
    const float* channels = from + token * row_floats;
    for (std::size_t row = 0; row < in.height; ++row, channels += in.channels) {
      for (std::size_t channel = 0; channel < in.channels; ++channel) to[channel * in.height + row] = channels[channel];
    }
    if (out.is_rounded()) out.round(first_token + token, 0, to, row_floats);
  });
}

// As many chunks as fit 4 MiB of activations per thread, at least one: work for all threads, near the cache.
std::size_t chunks_per_pass(const Context& context, std::size_t chunk_bytes) {
  const std::size_t budget = static_cast<std::size_t>(context.pool.n_threads()) * (std::size_t{4} << 20);
  return std::max<std::size_t>(1, budget / std::max<std::size_t>(1, chunk_bytes));
}

// Memory of the stages of one pass.
struct StemScratch {
  float *one = nullptr, *two = nullptr, *three = nullptr;    // images as floats
  std::byte *one_records = nullptr, *two_records = nullptr;  // images as records
  float* zeros = nullptr;                                    // [channels]
  std::byte* zero_line = nullptr;                            // of records
};

// The input: one channel, frequency before time.
auto address_in_input(const Images& in, const float* x) {
  return [&in, x](std::size_t image, std::size_t row, std::size_t column) {
    return x + (image * in.height + row) * in.width + column;
  };
}

void run_floats(const Context& context, const PackedConvStem& stem, const Images& in, const float* x,
                const StemScratch& scratch) {
  const Images a = in.next(stem.convs[0].n_features), b = a.next(stem.convs[1].n_features);
  convolve_floats(context, in, address_in_input(in, x), scratch.zeros, stem.convs[0], 1,
                  FloatImage{context.isa, stem.convs[0], scratch.one});
  convolve_floats(context, a, address_in(a, scratch.one), scratch.zeros, stem.convs[1], 1,
                  FloatImage{context.isa, stem.convs[1], scratch.two});
  convolve_floats(context, b, address_in(b, scratch.two), scratch.zeros, stem.convs[2], 1,
                  FloatImage{context.isa, stem.convs[2], scratch.three});
}

void run_records(const Context& context, const PackedConvStem& stem, const Images& in, const float* x,
                 const StemScratch& scratch) {
  const Images a = in.next(stem.convs[0].n_features), b = a.next(stem.convs[1].n_features);
  const isa::RecordLayout layout = record_layout(context, stem.convs[1]);
  // A tile of sums must hold whole blocks of the next stage's activations.
  const std::size_t whole_blocks = panels_of_blocks(context);
  const auto image_of = [&](const Images& size, std::byte* records, const PackedMatrix& weight) {
    clear_padding(size, layout.bytes, records);
    const Shape shape = {static_cast<std::int64_t>(padded_positions(size)), static_cast<std::int64_t>(size.channels)};
    return RecordImage{context.isa, weight, RowSink(context, {records, DType::kQ8Rows, shape}), size.height};
  };
  convolve_floats(context, in, address_in_input(in, x), scratch.zeros, stem.convs[0], whole_blocks,
                  image_of(a, scratch.one_records, stem.convs[0]));
  convolve_records(context, a, layout, scratch.one_records, scratch.zero_line, stem.convs[1], whole_blocks,
                   image_of(b, scratch.two_records, stem.convs[1]));
  convolve_records(context, b, layout, scratch.two_records, scratch.zero_line, stem.convs[2], 1,
                   FloatImage{context.isa, stem.convs[2], scratch.three});
}

}  // namespace

void CpuBackend::conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) {
  check_conv_stem(x, w, unrounded(y));
  const auto& stem = static_cast<const PackedConvStem&>(w);
  const auto channels = static_cast<std::size_t>(w.channels()), n_chunks = static_cast<std::size_t>(x.shape[0]);
  Images in{1, static_cast<std::size_t>(x.shape[1]), static_cast<std::size_t>(x.shape[2]), 1};
  const Images first = in.next(channels), second = first.next(channels), third = second.next(channels);
  const bool quantized = is_quantized(stem.convs[1].storage);
  const std::size_t record_bytes = quantized ? record_layout(context_, stem.convs[1]).bytes : 0;
  const auto image_bytes = [&](const Images& images) {
    return quantized ? padded_positions(images) * record_bytes : images.elements() * sizeof(float);
  };
  const std::size_t chunk_bytes = image_bytes(first) + image_bytes(second) + third.elements() * sizeof(float);
  const std::size_t per_pass = std::min(n_chunks, chunks_per_pass(context_, chunk_bytes));

  const std::size_t one = per_pass * image_bytes(first), two = per_pass * image_bytes(second);
  const std::size_t three = per_pass * third.elements(), zero_bytes = padded_height(first) * record_bytes;
  auto lease = context_.scratch.lease(ScratchPool::bytes_for<std::byte>(one) + ScratchPool::bytes_for<std::byte>(two) +
                                      ScratchPool::bytes_for<float>(three) + ScratchPool::bytes_for<float>(channels) +
                                      ScratchPool::bytes_for<std::byte>(zero_bytes));
  StemScratch scratch;
  scratch.one_records = lease.take<std::byte>(one);
  scratch.two_records = lease.take<std::byte>(two);
  scratch.one = reinterpret_cast<float*>(scratch.one_records);
  scratch.two = reinterpret_cast<float*>(scratch.two_records);
  scratch.three = lease.take<float>(three);
  scratch.zeros = lease.take<float>(channels);
  std::fill_n(scratch.zeros, channels, 0.0f);
  scratch.zero_line = lease.take<std::byte>(zero_bytes);
  std::fill_n(scratch.zero_line, zero_bytes, std::byte{0});

  const RowSink out(context_, y);
  for (std::size_t chunk = 0; chunk < n_chunks; chunk += per_pass) {
    in.n_images = std::min(per_pass, n_chunks - chunk);
    const float* from = x.as<float>() + chunk * in.height * in.width;
    const auto run = quantized ? run_records : run_floats;
    run(context_, stem, in, from, scratch);
    const Images last = in.next(channels).next(channels).next(channels);
    transpose(context_, last, scratch.three, chunk * third.width, out);
  }
}

}  // namespace qasr::cpu
