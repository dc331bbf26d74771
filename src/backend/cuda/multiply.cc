// Products of many rows with a matrix in any format.
//
//   kBf16  as it is
//   kFp8   activations become e4m3 too, one scale per row, and the matrix units multiply codes
//   kQ8    some rows of the matrix at a time become bf16 in memory that stays in the L2 cache
#include <algorithm>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/eight_bit.h"

namespace qasr::cuda {
namespace {

constexpr std::int64_t kWidenedBytes = std::int64_t{24} << 20;

// The part of a product that computes `n` columns of y from `begin` on, with other weights.
Product columns_of(const Product& product, const Bf16* weights, std::int64_t begin, std::int64_t n) {
  Product part = product;
  part.w = weights;
  part.out = n;
  part.y_stride = product.out;
  part.y = static_cast<char*>(product.y) + begin * (product.f32_output ? 4 : 2);
  return part;
}

}  // namespace

// The weights and their sizes come from w, whose features before first_feature are left out; everything else is in
// `product`. True if the bias has been added.
bool CudaBackend::multiply(Product product, const CudaLinear& w, std::int64_t first_feature) {
  context_.use_weights(w.weight.data(), w.weight.bytes());
  product.out = w.out_features() - first_feature;
  product.in = w.in_features();
  const std::int64_t element_bytes = w.format == CudaFormat::kBf16 ? 2 : 1;
  product.w = static_cast<const std::byte*>(w.weight.data()) + first_feature * product.in * element_bytes;
  if (w.format == CudaFormat::kBf16) return matmul_.run(product);
  if (w.format == CudaFormat::kFp8) {
    const std::int64_t code_bytes = (product.rows * product.in + 255) / 256 * 256;
    auto* codes = context_.scratch<std::uint8_t>(Scratch::kCodes, code_bytes + product.rows * 4);
    auto* scales = reinterpret_cast<float*>(codes + code_bytes);
    encode_activations(context_, static_cast<const Bf16*>(product.x), product.rows, product.in, codes, scales);
    product.x = codes;
    product.x_scales = scales;
    product.w_scales = w.scales.as<float>() + first_feature;
    return matmul_.run(product);
  }
  const bool has_bias = product.bias != nullptr;
  product.bias = nullptr;
  const std::int64_t most = std::max<std::int64_t>(kWidenedBytes / (product.in * 2) / 64 * 64, 64);
  Bf16* widened = context_.scratch<Bf16>(Scratch::kWidened, std::min(most, product.out) * product.in);
  for (std::int64_t begin = 0; begin < product.out; begin += most) {
    const std::int64_t n = std::min(most, product.out - begin);
    widen_rows(context_, w, first_feature + begin, n, widened);
    matmul_.run(columns_of(product, widened, begin, n));
  }
  return !has_bias;
}

}  // namespace qasr::cuda
