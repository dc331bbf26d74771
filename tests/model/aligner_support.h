// Running a forced aligner of a golden file: encoder, one causal pass, logits of the slots.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "golden_support.h"

namespace qasr::testing {

/// What the head says about the slots of one item.
struct SlotLogits {
  std::vector<std::int32_t> classes;  ///< [n_slots] chosen by the backend
  std::vector<float> log_probs;       ///< [n_slots] of the classes
  std::vector<float> logits;          ///< [n_slots, n_classes]
  bool operator==(const SlotLogits&) const = default;
};

/// Log-mel and token ids of one item.
struct AlignerItem {
  LogMelSpectrogram features;
  std::vector<std::int32_t> ids;
};

/// All items in one call.
inline std::vector<SlotLogits> classify_items(Backend& backend, const BareModel& model,
                                              std::span<const AlignerItem> items, std::int32_t timestamp_id,
                                              DType kv_cache) {
  std::vector<const LogMelSpectrogram*> features;
  std::vector<std::vector<std::int32_t>> slots;
  std::int64_t n_positions = 0;
  for (const AlignerItem& item : items) {
    features.push_back(&item.features);
    std::vector<std::int32_t>& rows = slots.emplace_back();
    for (std::size_t row = 0; row < item.ids.size(); ++row) {
      if (item.ids[row] == timestamp_id) rows.push_back(static_cast<std::int32_t>(row));
    }
    n_positions += static_cast<std::int64_t>(item.ids.size()) + KvPool::kPageTokens;
  }
  EncoderWorkspace encoder_workspace;
  DeviceTensor audio;
  model.encoder.forward(features, ShortClipPadding::kOfficial, encoder_workspace, audio);

  KvPool pool(backend, model.config.text, n_positions, kv_cache);
  std::vector<KvSequence> sequences;
  sequences.reserve(items.size());
  std::vector<PrefillInput> inputs;
  std::int64_t first_row = 0;
  for (const AlignerItem& item : items) {
    const std::int64_t n_rows = model.encoder.n_audio_tokens(item.features.n_frames);
    inputs.push_back({.sequence = &sequences.emplace_back(pool),
                      .ids = item.ids,
                      .audio = audio.view().slice_rows(first_row, n_rows)});
    first_row += n_rows;
  }
  const std::vector<std::span<const std::int32_t>> wanted(slots.begin(), slots.end());
  std::vector<SlotLogits> results(items.size());
  const auto n_classes = static_cast<std::size_t>(model.config.n_classes);
  std::size_t item = 0;
  DecoderWorkspace workspace;
  model.decoder.classify(
      inputs, wanted, workspace,
      [&](std::span<const std::int32_t> best, std::span<const float> log_probs, std::span<const float> logits) {
        for (std::size_t row = 0; row < best.size(); ++row) {
          while (results[item].classes.size() == slots[item].size()) ++item;
          results[item].classes.push_back(best[row]);
          results[item].log_probs.push_back(log_probs[row]);
          const auto values = logits.subspan(row * n_classes, n_classes);
          results[item].logits.insert(results[item].logits.end(), values.begin(), values.end());
        }
      });
  return results;
}

/// A golden file and its JSON record.
struct AlignerGolden {
  explicit AlignerGolden(const std::string& name)
      : record(read_json(source_path("tests/golden/aligner/" + name + ".json"))),
        arrays(source_path("tests/golden/aligner/" + record.at("file").get<std::string>())),
        n_frames(record.at("n_frames").get<std::vector<int>>()),
        timestamp_id(record.at("config").at("timestamp_token_id").get<std::int32_t>()),
        seed(record.at("seed").get<std::uint32_t>()) {}
  std::vector<std::int32_t> ids(std::size_t item) const { return arrays.ints(key(item, "ids")); }
  static std::string key(std::size_t item, const std::string& what) {
    return "item" + std::to_string(item) + "." + what;
  }

  nlohmann::json record;
  GoldenArrays arrays;
  std::vector<int> n_frames;
  std::int32_t timestamp_id;
  std::uint32_t seed;
};

}  // namespace qasr::testing
