// See synthetic.h. Every operation on u is exact or rounds once, and no product is followed by a sum that could be
// fused with it differently, so every compiler and instruction set gives the same bits.
#include "weights/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/check.h"

namespace qasr {
namespace {

constexpr std::uint32_t kIndexFactor = 0x9E3779B1u, kSeedFactor = 0x9E3779B9u;
// Sharpens the decoder's attention: with 1 it averages so evenly that greedy output is one token repeated.
constexpr double kHeadNormFactor = 1.5;

constexpr std::uint32_t fnv1a32(std::string_view text) {
  std::uint32_t state = 2166136261u;
  for (char c : text) state = (state ^ static_cast<unsigned char>(c)) * 16777619u;
  return state;
}

constexpr std::uint32_t hash_index(std::uint32_t index, std::uint32_t start) {
  std::uint32_t x = index * kIndexFactor + start;
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

// The upper 24 bits as a number in [-1, 1), exact in f32.
constexpr float unit(std::uint32_t x) {
  return static_cast<float>(static_cast<std::int32_t>(x >> 8) - (1 << 23)) * 0x1p-23F;
}

void store(float value, float& out) { out = value; }
void store(float value, bf16& out) {
  // to_bf16 without its test for NaN, which would keep the loop scalar; no value here is NaN.
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  out.bits = static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
void store(float value, f16& out) { out = to_f16(value); }

bool ends_with_any(std::string_view name, std::span<const std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](std::string_view suffix) { return name.ends_with(suffix); });
}

bool is_head_norm(std::string_view name) {
  static constexpr std::array<std::string_view, 2> kSuffixes = {"q_norm.weight", "k_norm.weight"};
  return ends_with_any(name, kSuffixes);
}

bool is_norm(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kSuffixes = {"layer_norm.weight", "layernorm.weight",
                                                                "ln_post.weight", "model.norm.weight"};
  return is_head_norm(name) || ends_with_any(name, kSuffixes);
}

// What u, or 1 + u / 8 in norm weights, is multiplied by. sqrt(3 / inputs) gives u * scale the variance 1 / inputs:
// activations keep their size from layer to layer.
double hash_scale(std::string_view name, const Shape& shape) {
  if (is_head_norm(name)) return kHeadNormFactor;
  if (is_norm(name)) return 1;
  if (name.ends_with(".bias")) return 0.1;
  if (name.ends_with("model.embed_tokens.weight")) return 0.07;
  if (shape.rank() == 4) {  // [out, in, 3, 3]; 1.5 makes up for what GELU takes
    return std::sqrt(3.0 / static_cast<double>(shape[1] * shape[2] * shape[3])) * 1.5;
  }
  QASR_CHECK_MSG(shape.rank() == 2, "no rule for tensor " + std::string(name) + " of shape " + shape.to_string());
  return std::sqrt(3.0 / static_cast<double>(shape[1]));
}

float miniature_scale(std::string_view name) {
  const bool is_conv = name.find("conv2d") != std::string_view::npos && name.ends_with(".weight");
  return is_conv ? 0.25F : 0.125F;
}

// x -> factor * x + offset (mod 2^32).
struct Affine {
  std::uint32_t factor, offset;
  std::uint32_t operator()(std::uint32_t x) const { return factor * x + offset; }
};

// The miniature model's generator, applied n times: powers of the map by squaring.
Affine generator_steps(std::uint64_t n) {
  Affine result{1, 0}, power{1664525u, 1013904223u};
  for (; n > 0; n >>= 1) {
    if ((n & 1) != 0) result = {power.factor * result.factor, power(result.offset)};
    power = {power.factor * power.factor, power(power.offset)};
  }
  return result;
}

}  // namespace

SyntheticTensor::SyntheticTensor(SyntheticRule rule, std::string_view official_name, const Shape& shape,
                                 std::uint32_t seed)
    : rule_(rule), start_(fnv1a32(official_name)) {
  if (rule == SyntheticRule::kMiniature) {
    kind_ = is_norm(official_name) ? Kind::kNorm : Kind::kScaled;
    scale_ = kind_ == Kind::kNorm ? 1.0F : miniature_scale(official_name);
    return;
  }
  start_ ^= seed * kSeedFactor;
  if (is_norm(official_name)) kind_ = is_head_norm(official_name) ? Kind::kNorm : Kind::kOutlierNorm;
  if (rule == SyntheticRule::kSpiky) rows_ = spiky_factors(official_name);
  const double scale = hash_scale(official_name, shape);
  scale_ = static_cast<float>(scale * rows_.usual);
  large_scale_ = static_cast<float>(scale * rows_.large);
  row_elements_ = shape.elements() / shape[0];
}

template <typename T, SyntheticTensor::Kind kKind>
void SyntheticTensor::fill_hash(std::int64_t begin, std::span<T> out, float scale) const noexcept {
  const std::uint32_t first = static_cast<std::uint32_t>(begin), start = start_;  // indices count modulo 2^32
  T* const data = out.data();
  const std::size_t n = out.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t x = hash_index(first + static_cast<std::uint32_t>(i), start);
    const float u = unit(x);
    float value = (kKind == Kind::kScaled ? u : 1.0F + u * 0.125F) * scale;
    if (kKind == Kind::kOutlierNorm) value *= x % 64 == 0 ? 4.0F : 1.0F;
    store(value, data[i]);
  }
}

template <typename T>
void SyntheticTensor::fill_scaled(std::int64_t begin, std::span<T> out, float scale) const noexcept {
  switch (kind_) {
    case Kind::kScaled:
      return fill_hash<T, Kind::kScaled>(begin, out, scale);
    case Kind::kNorm:
      return fill_hash<T, Kind::kNorm>(begin, out, scale);
    case Kind::kOutlierNorm:
      return fill_hash<T, Kind::kOutlierNorm>(begin, out, scale);
  }
}

template <typename T>
void SyntheticTensor::fill_miniature(std::int64_t begin, std::span<T> out) const noexcept {
  std::uint32_t state = generator_steps(static_cast<std::uint64_t>(begin))(start_);
  const Affine step = generator_steps(1);
  for (T& element : out) {
    state = step(state);
    const float u = unit(state);
    store((kind_ == Kind::kScaled ? u : 1.0F + u * 0.125F) * scale_, element);
  }
}

template <typename T>
void SyntheticTensor::fill_as(std::int64_t begin, std::span<T> out) const noexcept {
  if (rule_ == SyntheticRule::kMiniature) return fill_miniature(begin, out);
  if (rows_.spacing == 0) return fill_scaled(begin, out, scale_);
  while (!out.empty()) {
    const std::int64_t row = begin / row_elements_, left_in_row = (row + 1) * row_elements_ - begin;
    const std::span<T> part = out.first(std::min(out.size(), static_cast<std::size_t>(left_in_row)));
    fill_scaled(begin, part, rows_.is_large(row) ? large_scale_ : scale_);
    begin += static_cast<std::int64_t>(part.size());
    out = out.subspan(part.size());
  }
}

void SyntheticTensor::fill(std::int64_t begin, std::span<float> out) const noexcept { fill_as(begin, out); }
void SyntheticTensor::fill(std::int64_t begin, std::span<bf16> out) const noexcept { fill_as(begin, out); }
void SyntheticTensor::fill(std::int64_t begin, std::span<f16> out) const noexcept { fill_as(begin, out); }

std::vector<float> synthetic_log_mel(int n_mels, int n_frames) {
  const std::uint32_t seed = static_cast<std::uint32_t>(n_frames);
  const std::uint32_t start = fnv1a32("qasr.test.log_mel") ^ (seed * kSeedFactor);
  std::vector<float> values(static_cast<std::size_t>(n_mels) * static_cast<std::size_t>(n_frames));
  for (std::size_t i = 0; i < values.size(); ++i) {
    // Two roundings, f32(f32(u * 0.75) + 0.25): exact in f64 in between, so that no fused multiply-add can save one.
    const double u = unit(hash_index(static_cast<std::uint32_t>(i), start));
    values[i] = static_cast<float>(static_cast<double>(static_cast<float>(u * 0.75)) + 0.25);
  }
  return values;
}

}  // namespace qasr
