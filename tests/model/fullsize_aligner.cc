#include "fullsize_aligner.h"

#include <chrono>
#include <vector>

#include "aligner_support.h"
#include "audio/log_mel.h"
#include "backend/registry.h"
#include "fullsize_report.h"
#include "support/test_signals.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

// As the limits of fullsize_check.cc: sums in other orders give 1e-5; q8 is half as much again as what was measured.
constexpr double kSlotF32Limit = 1e-4, kQ8Limit = 9e-2, kBf16Limit = 2e-2;
constexpr std::size_t kHopSamples = 160;

std::size_t count_same_classes(const SlotLogits& found, const std::vector<std::int32_t>& expected) {
  std::size_t n_same = 0;
  for (std::size_t slot = 0; slot < expected.size(); ++slot) n_same += found.classes.at(slot) == expected[slot] ? 1 : 0;
  return n_same;
}

// The logits that the golden file holds: the best of every slot, and some at fixed places.
double golden_error(const AlignerGolden& golden, std::size_t item, const SlotLogits& found, std::size_t n_classes) {
  std::vector<float> values, expected;
  const auto key = [&](const char* what) { return AlignerGolden::key(item, what); };
  const std::vector<std::int32_t> top = golden.arrays.ints(key("top_classes"));
  const std::vector<std::int32_t> fixed = golden.arrays.ints(key("fixed_classes"));
  const std::size_t n_slots = found.classes.size(), n_top = top.size() / n_slots;
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    const auto row = std::span(found.logits).subspan(slot * n_classes, n_classes);
    for (std::size_t n = 0; n < n_top; ++n) values.push_back(row[static_cast<std::size_t>(top[slot * n_top + n])]);
  }
  for (const float value : golden.arrays.floats(key("top_values"))) expected.push_back(value);
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    const auto row = std::span(found.logits).subspan(slot * n_classes, n_classes);
    for (const std::int32_t c : fixed) values.push_back(row[static_cast<std::size_t>(c)]);
  }
  for (const float value : golden.arrays.floats(key("fixed_values"))) expected.push_back(value);
  return relative_error(values, expected);
}

std::vector<SlotLogits> run(Backend& backend, const CheckpointFiles& files, const AlignerGolden& golden,
                            WeightFormat weights, DType kv_cache) {
  const BareModel model(files, backend, weights);
  const LogMel log_mel({.n_mels = model.config.audio.n_mels});
  std::vector<AlignerItem> items(golden.n_frames.size());
  for (std::size_t item = 0; item < items.size(); ++item) {
    log_mel.compute(tones_signal(kHopSamples * static_cast<std::size_t>(golden.n_frames[item])), items[item].features);
    items[item].ids = golden.ids(item);
  }
  return classify_items(backend, model, items, golden.timestamp_id, kv_cache);
}

// bf16 on a GPU against the golden logits.
bool check_on_gpu(const CheckpointFiles& files, const AlignerGolden& golden, std::size_t n_classes) {
  const std::unique_ptr<Backend> backend = make_cuda_backend(0);
  std::printf("%s, %s, bf16 weights\n", kFullsizeAligner, backend->description().c_str());
  const std::vector<SlotLogits> found = run(*backend, files, golden, WeightFormat::kBf16, DType::kBf16);
  Report report;
  for (std::size_t item = 0; item < found.size(); ++item) {
    const std::vector<std::int32_t> classes = golden.arrays.ints(AlignerGolden::key(item, "classes"));
    report.error("logits of the slots", golden_error(golden, item, found[item], n_classes), kBf16Limit);
    std::printf("  %-28s %zu of %zu\n", "same classes", count_same_classes(found[item], classes), classes.size());
  }
  return report.passed();
}

}  // namespace

bool check_fullsize_aligner(const std::string& isa) {
  const AlignerGolden golden(kFullsizeAligner);
  const SyntheticModel model = synthetic_model(kFullsizeAligner);
  const CheckpointFiles files = synthetic_checkpoint(model, {.seed = golden.seed});
  const auto n_classes = static_cast<std::size_t>(model.config.n_classes);
  if (isa == "cuda") return check_on_gpu(files, golden, n_classes);
  const std::unique_ptr<Backend> backend = make_cpu_backend(0, isa);
  Report report;
  std::vector<SlotLogits> exact;
  for (const bool is_f32 : {true, false}) {
    const auto started = std::chrono::steady_clock::now();
    std::printf("%s, %s, %s weights\n", kFullsizeAligner, backend->description().c_str(), is_f32 ? "f32" : "q8");
    const std::vector<SlotLogits> found = run(*backend, files, golden, is_f32 ? WeightFormat::kF32 : WeightFormat::kQ8,
                                              is_f32 ? DType::kF32 : DType::kBf16);
    for (std::size_t item = 0; item < found.size(); ++item) {
      const std::vector<std::int32_t> classes = golden.arrays.ints(AlignerGolden::key(item, "classes"));
      if (is_f32) {
        report.error("logits of the slots", golden_error(golden, item, found[item], n_classes), kSlotF32Limit);
        report.count("classes", count_same_classes(found[item], classes), classes.size());
      } else {
        report.error("logits against f32", relative_error(found[item].logits, exact[item].logits), kQ8Limit);
        std::printf("  %-28s %zu of %zu\n", "same classes", count_same_classes(found[item], classes), classes.size());
      }
    }
    if (is_f32) exact = found;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
    std::printf("  %.0f s\n", elapsed.count());
  }
  return report.passed();
}

}  // namespace qasr::testing
