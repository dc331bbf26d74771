// The synthetic rule against values computed by another program (tools/golden/export_synthetic_spots.py), and its
// promise that any range of elements can be computed on its own.
#include "weights/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "qasr/error.h"
#include "weights/expected_tensors.h"
#include "weights/synthetic_models.h"
#include "weights/tensor_names.h"

namespace qasr {
namespace {

using nlohmann::json;

constexpr std::int64_t kBlock = 1 << 20;

const json& spots() {
  static const json document = [] {
    std::ifstream stream(QASR_SOURCE_DIR "/tests/golden/synthetic/spots.json");
    return json::parse(stream);
  }();
  return document;
}

Shape shape_of(const json& dims) {
  if (dims.size() == 1) return {dims[0].get<std::int64_t>()};
  if (dims.size() == 2) return {dims[0].get<std::int64_t>(), dims[1].get<std::int64_t>()};
  return {dims[0].get<std::int64_t>(), dims[1].get<std::int64_t>(), dims[2].get<std::int64_t>(),
          dims[3].get<std::int64_t>()};
}

SyntheticTensor tensor_of(const json& entry) {
  return {synthetic_model(entry.at("config").get<std::string>()).rule, entry.at("name").get<std::string>(),
          shape_of(entry.at("shape")), entry.at("seed").get<std::uint32_t>()};
}

float value_at(const SyntheticTensor& tensor, std::int64_t index) {
  float value = 0;
  tensor.fill(index, std::span(&value, 1));
  return value;
}

// Sum of the elements' bit patterns, computed a block at a time.
template <typename T, typename Bits>
std::uint64_t bits_sum(const SyntheticTensor& tensor, std::int64_t n_elements, Bits bits) {
  std::uint64_t sum = 0;
  std::vector<T> block(static_cast<std::size_t>(kBlock));
  for (std::int64_t begin = 0; begin < n_elements; begin += kBlock) {
    const std::span<T> part = std::span(block).first(static_cast<std::size_t>(std::min(kBlock, n_elements - begin)));
    tensor.fill(begin, part);
    for (const T& element : part) sum += bits(element);
  }
  return sum;
}

TEST(Synthetic, SpotValuesOfEveryKindOfTensor) {
  ASSERT_GE(spots().at("tensors").size(), 39u);
  for (const json& entry : spots().at("tensors")) {
    SCOPED_TRACE(entry.at("name").get<std::string>());
    const SyntheticTensor tensor = tensor_of(entry);
    for (const json& spot : entry.at("spots")) {
      const std::int64_t index = spot.at("index").get<std::int64_t>();
      EXPECT_EQ(std::bit_cast<std::uint32_t>(value_at(tensor, index)), spot.at("f32").get<std::uint32_t>()) << index;
      bf16 rounded{};
      tensor.fill(index, std::span(&rounded, 1));
      EXPECT_EQ(rounded.bits, spot.at("bf16").get<std::uint32_t>()) << index;
    }
  }
}

TEST(Synthetic, SumsOfWholeTensorsUpToFullSize) {
  for (const json& entry : spots().at("tensors")) {
    SCOPED_TRACE(entry.at("name").get<std::string>());
    const SyntheticTensor tensor = tensor_of(entry);
    const std::int64_t n_elements = shape_of(entry.at("shape")).elements();
    EXPECT_EQ(bits_sum<bf16>(tensor, n_elements, [](bf16 x) { return std::uint64_t{x.bits}; }),
              entry.at("bf16_bits_sum").get<std::uint64_t>());
    EXPECT_EQ(
        bits_sum<float>(tensor, n_elements, [](float x) { return std::uint64_t{std::bit_cast<std::uint32_t>(x)}; }),
        entry.at("f32_bits_sum").get<std::uint64_t>());
  }
}

TEST(Synthetic, SpotsAreOfTheConfigurationsTheyName) {
  for (const json& entry : spots().at("tensors")) {
    const std::vector<ExpectedTensor> tensors =
        expected_tensors(synthetic_model(entry.at("config").get<std::string>()).config);
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const ExpectedTensor& tensor) {
      return stored_name(tensor.name, NameLayout::kOfficial) == entry.at("name").get<std::string>();
    });
    ASSERT_NE(found, tensors.end()) << entry.at("name");
    EXPECT_EQ(found->shape, shape_of(entry.at("shape"))) << entry.at("name");
  }
}

TEST(Synthetic, LogMelInput) {
  for (const json& entry : spots().at("log_mels")) {
    const std::vector<float> mel = synthetic_log_mel(entry.at("n_mels").get<int>(), entry.at("n_frames").get<int>());
    std::uint64_t sum = 0;
    for (float value : mel) sum += std::bit_cast<std::uint32_t>(value);
    EXPECT_EQ(sum, entry.at("f32_bits_sum").get<std::uint64_t>());
    for (const json& spot : entry.at("spots")) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(mel[spot.at("index").get<std::size_t>()]),
                spot.at("f32").get<std::uint32_t>());
    }
  }
}

// Source: the miniature model's published values.
TEST(Synthetic, MiniatureRule) {
  const auto tensor = [](const char* name) { return SyntheticTensor(SyntheticRule::kMiniature, name, {8, 8}, 0); };
  const SyntheticTensor conv = tensor("thinker.audio_tower.conv2d1.weight");
  EXPECT_NEAR(value_at(conv, 0), 0.09871441, 5e-9);
  EXPECT_NEAR(value_at(conv, 1), 0.24785015, 1e-8);
  EXPECT_NEAR(value_at(conv, 2), -0.07307988, 5e-9);
  const SyntheticTensor embedding = tensor("thinker.model.embed_tokens.weight");
  EXPECT_NEAR(value_at(embedding, 0), 0.09793682, 5e-9);
  EXPECT_NEAR(value_at(embedding, 1), 0.10577026, 5e-9);
  EXPECT_NEAR(value_at(embedding, 2), 0.07377754, 5e-9);
  const SyntheticTensor norm = tensor("thinker.audio_tower.ln_post.weight");
  EXPECT_NEAR(value_at(norm, 0), 1.02159333, 6e-8);
  EXPECT_NEAR(value_at(norm, 1), 1.03570962, 6e-8);
}

TEST(Synthetic, AnyRangeCanBeComputedOnItsOwn) {
  for (const SyntheticRule rule : {SyntheticRule::kHash, SyntheticRule::kMiniature}) {
    const SyntheticTensor tensor(rule, "thinker.model.norm.weight", {5000}, 5);
    std::vector<float> whole(5000);
    tensor.fill(0, std::span(whole));
    for (const std::int64_t begin : {1, 7, 64, 4095, 4999}) {
      std::vector<float> part(static_cast<std::size_t>(std::min<std::int64_t>(33, 5000 - begin)));
      tensor.fill(begin, std::span(part));
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + begin)) << begin;
    }
  }
}

TEST(Synthetic, RangesOfASpikyTensorMayStartAndEndInsideRows) {
  const SyntheticTensor tensor(SyntheticRule::kSpiky, "thinker.model.layers.1.mlp.down_proj.weight", {200, 33}, 5);
  std::vector<float> whole(200 * 33);
  tensor.fill(0, std::span(whole));
  for (const std::int64_t begin : {1, 36 * 33 + 5, 37 * 33, 37 * 33 + 1, 38 * 33 - 1, 197 * 33 + 20}) {
    std::vector<float> part(70);
    tensor.fill(begin, std::span(part));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + begin)) << begin;
  }
}

TEST(Synthetic, SpikyTensorsDifferInTheRowsOfTheRuleOnly) {
  const Shape shape{200, 33};
  const char* name = "thinker.model.layers.1.mlp.down_proj.weight";
  std::vector<float> plain(200 * 33), spiky(200 * 33);
  SyntheticTensor(SyntheticRule::kHash, name, shape, 5).fill(0, std::span(plain));
  SyntheticTensor(SyntheticRule::kSpiky, name, shape, 5).fill(0, std::span(spiky));
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const float factor = i / 33 == 37 || i / 33 == 197 ? 400.0F : 2.0F;
    ASSERT_NEAR(spiky[i], plain[i] * factor, 1e-6F * factor) << i;
  }
}

TEST(Synthetic, AllElementTypesRoundTheSameValue) {
  const SyntheticTensor tensor(SyntheticRule::kHash, "thinker.model.layers.0.mlp.up_proj.weight", {100, 100}, 0);
  std::vector<float> exact(10000);
  std::vector<bf16> as_bf16(10000);
  std::vector<f16> as_f16(10000);
  tensor.fill(0, std::span(exact));
  tensor.fill(0, std::span(as_bf16));
  tensor.fill(0, std::span(as_f16));
  for (std::size_t i = 0; i < exact.size(); ++i) {
    ASSERT_EQ(as_bf16[i].bits, to_bf16(exact[i]).bits) << i;
    ASSERT_EQ(as_f16[i].bits, to_f16(exact[i]).bits) << i;
  }
}

TEST(Synthetic, NamesAndSeedsGiveUnrelatedTensors) {
  const SyntheticTensor first(SyntheticRule::kHash, "thinker.a.weight", {64, 64}, 0);
  const SyntheticTensor other_name(SyntheticRule::kHash, "thinker.b.weight", {64, 64}, 0);
  const SyntheticTensor other_seed(SyntheticRule::kHash, "thinker.a.weight", {64, 64}, 1);
  int n_equal = 0;
  for (std::int64_t i = 0; i < 4096; ++i) {
    n_equal += value_at(first, i) == value_at(other_name, i) ? 1 : 0;
    n_equal += value_at(first, i) == value_at(other_seed, i) ? 1 : 0;
  }
  EXPECT_LT(n_equal, 8);
}

TEST(Synthetic, ShapesWithoutARuleAndUnknownModelsAreErrors) {
  EXPECT_THROW(SyntheticTensor(SyntheticRule::kHash, "thinker.x.weight", {1, 2, 3}, 0), Error);
  try {
    synthetic_model("tiny_f");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("tiny_e, tiny_q, miniature, qwen3-asr-0.6b"));
  }
}

}  // namespace
}  // namespace qasr
