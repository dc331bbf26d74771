// Three tiny forced aligners with synthetic weights (one with outlier channels) against Hugging Face transformers'
// Qwen3ASRForTokenClassification: logits and classes of every slot; batches of mixed lengths against single runs.
// Golden data: tests/golden/aligner, written by tools/golden/export_aligner.py.
#include <gtest/gtest.h>

#include <tuple>

#include "aligner_support.h"
#include "backend/registry.h"
#include "measured.h"
#include "support/test_signals.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

class GoldenAligner : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto& [name, backend_name] = GetParam();
    backend_ = make_backend_by_name(backend_name);
    if (backend_ == nullptr) GTEST_SKIP() << "this machine lacks " << backend_name;
    golden_ = std::make_unique<AlignerGolden>(name);
    files_ = std::make_unique<CheckpointFiles>(synthetic_checkpoint(synthetic_model(name), {.seed = golden_->seed}));
    model_ = std::make_unique<BareModel>(*files_, *backend_);
    for (std::size_t item = 0; item < golden_->n_frames.size(); ++item) {
      const int n_mels = model_->config.audio.n_mels, n_frames = golden_->n_frames[item];
      items_.push_back(
          {.features = {.n_mels = n_mels, .n_frames = n_frames, .values = synthetic_log_mel(n_mels, n_frames)},
           .ids = golden_->ids(item)});
    }
  }
  std::vector<SlotLogits> classify(std::span<const AlignerItem> items) {
    return classify_items(*backend_, *model_, items, golden_->timestamp_id, DType::kF32);
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<AlignerGolden> golden_;
  std::unique_ptr<CheckpointFiles> files_;
  std::unique_ptr<BareModel> model_;
  std::vector<AlignerItem> items_;
};

TEST_P(GoldenAligner, LogitsAndClasses) {
  const std::vector<SlotLogits> found = classify(items_);
  ASSERT_EQ(found.size(), 4u);
  for (std::size_t item = 0; item < found.size(); ++item) {
    const std::vector<float>& expected = golden_->arrays.floats(AlignerGolden::key(item, "logits"));
    expect_within("aligner logits", relative_error(found[item].logits, expected), kLogitsTol,
                  "item " + std::to_string(item));
    EXPECT_EQ(found[item].classes, golden_->arrays.ints(AlignerGolden::key(item, "classes"))) << "item " << item;
    const auto n_classes = static_cast<std::size_t>(model_->config.n_classes);
    for (std::size_t slot = 0; slot < found[item].classes.size(); ++slot) {
      const auto row = std::span(found[item].logits).subspan(slot * n_classes, n_classes);
      EXPECT_NEAR(found[item].log_probs[slot], log_softmax_at(row, found[item].classes[slot]), 1e-4);
    }
  }
}

TEST_P(GoldenAligner, BatchEqualsSingleRuns) {
  const std::vector<SlotLogits> batch = classify(items_);
  for (std::size_t item = 0; item < items_.size(); ++item) {
    EXPECT_EQ(batch[item], classify(std::span(items_).subspan(item, 1)).front()) << "item " << item;  // bit for bit
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GoldenAligner,
    ::testing::Combine(::testing::Values("tiny_aligner_a", "tiny_aligner_b", "tiny_aligner_c-spiky"),
                       ::testing::ValuesIn(backend_names())),
    [](const auto& test) { return test_name(std::get<0>(test.param) + "_" + std::get<1>(test.param)); });

}  // namespace
}  // namespace qasr::testing
