// The demonstration's forced aligner against Hugging Face transformers' Qwen3ASRForTokenClassification: ids of the input,
// the best logits and the class of every slot, for held-out recordings. Golden data: tests/golden/demo_aligner, written by
// tools/golden/export_demo_aligner.py.
#include <gtest/gtest.h>

#include "aligner_support.h"
#include "audio/log_mel.h"
#include "backend/registry.h"
#include "measured.h"
#include "qasr/audio.h"
#include "support/test_signals.h"

namespace qasr::testing {
namespace {

constexpr const char* kModel = "models/demo-aligner-en";
constexpr std::int32_t kTimestampId = 1535;
constexpr std::size_t kAlignedSamples = 8000;  // shorter recordings are padded with zeros, as the reference does
// Choices closer than this may go either way: backends of bf16 activations have errors of 0.1 in logits of about 20.
constexpr float kCloseF32 = 0.01F, kCloseBf16 = 0.5F;

class GoldenDemoAligner : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = make_backend_by_name(GetParam());
    if (backend_ == nullptr) GTEST_SKIP() << "this machine lacks " << GetParam();
    golden_ = read_json(source_path("tests/golden/demo_aligner/golden.json"));
    arrays_ = std::make_unique<GoldenArrays>(
        source_path("tests/golden/demo_aligner/" + golden_.at("file").get<std::string>()));
    files_ = std::make_unique<CheckpointFiles>(CheckpointFiles::open_directory(source_path(kModel)));
    model_ = std::make_unique<BareModel>(*files_, *backend_, is_bf16() ? WeightFormat::kBf16 : WeightFormat::kF32);
  }

  bool is_bf16() const { return backend_->activation_dtype() == DType::kBf16; }

  AlignerItem item_of(const nlohmann::json& entry) const {
    std::vector<float> samples =
        load_audio(source_path("tests/data/heldout/" + entry.at("file").get<std::string>())).samples;
    if (samples.size() < kAlignedSamples) samples.resize(kAlignedSamples);
    AlignerItem item{.features = {}, .ids = entry.at("ids").get<std::vector<std::int32_t>>()};
    LogMel().compute(samples, item.features);
    return item;
  }

  // The reference's four best logits of every slot, and its class wherever that is not a close choice.
  void expect_slots(std::size_t index, const nlohmann::json& entry, const SlotLogits& found) const {
    const std::string prefix = std::to_string(index) + ".";
    const std::vector<std::int32_t> best = arrays_->ints(prefix + "top_classes");
    const std::vector<float>& expected = arrays_->floats(prefix + "top_logits");
    const auto classes = entry.at("classes").get<std::vector<std::int32_t>>();
    ASSERT_EQ(found.classes.size(), classes.size());
    const std::size_t n_best = best.size() / classes.size(), n_classes = static_cast<std::size_t>(model_->config.n_classes);
    std::vector<float> values;
    for (std::size_t i = 0; i < best.size(); ++i) {
      values.push_back(found.logits[i / n_best * n_classes + static_cast<std::size_t>(best[i])]);
    }
    expect_within(is_bf16() ? "demo aligner logits, bf16" : "demo aligner logits", relative_error(values, expected),
                  is_bf16() ? 2 * kBf16Tol : kLogitsTol, entry.at("file"));  // bf16 rounds the 8-bit weights again
    for (std::size_t slot = 0; slot < classes.size(); ++slot) {
      const float gap = expected[slot * n_best] - expected[slot * n_best + 1];
      if (gap > (is_bf16() ? kCloseBf16 : kCloseF32)) {
        EXPECT_EQ(found.classes[slot], classes[slot]) << "slot " << slot;
      }
      EXPECT_NEAR(found.log_probs[slot],
                  found.logits[slot * n_classes + static_cast<std::size_t>(found.classes[slot])] -
                      arrays_->floats(prefix + "log_sum_exp")[slot],
                  is_bf16() ? 0.5F : 0.01F);
    }
  }

  std::unique_ptr<Backend> backend_;
  nlohmann::json golden_;
  std::unique_ptr<GoldenArrays> arrays_;
  std::unique_ptr<CheckpointFiles> files_;
  std::unique_ptr<BareModel> model_;
};

TEST_P(GoldenDemoAligner, HeldOutRecordings) {
  const nlohmann::json& cases = golden_.at("cases");
  const std::size_t step = GetParam() == "reference" ? 6 : 1;  // plain loops take a second for each
  std::vector<AlignerItem> items;
  for (std::size_t index = 0; index < cases.size(); index += step) items.push_back(item_of(cases[index]));
  const std::vector<SlotLogits> found =
      classify_items(*backend_, *model_, items, kTimestampId, is_bf16() ? DType::kBf16 : DType::kF32);
  ASSERT_EQ(found.size(), items.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(cases[i * step].at("file").get<std::string>());
    expect_slots(i * step, cases[i * step], found[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenDemoAligner, ::testing::ValuesIn(backend_names()),
                         [](const auto& test) { return test_name(test.param); });
INSTANTIATE_TEST_SUITE_P(Gpu, GoldenDemoAligner, ::testing::Values("cuda"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace qasr::testing
