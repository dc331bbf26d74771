// See spiky_rule.h.
#include "weights/spiky_rule.h"

namespace qasr {
namespace {

constexpr int kHiddenSpacing = 160;  // of the residual stream: 7 of 1,024 channels, 6 of 896
constexpr int kInnerSpacing = 640;   // between the two matrices of an MLP: 5 of 3,072 channels, 6 of 3,584

// Layer 0 reads embeddings, or the stem's output, which have no large channels.
bool is_first_norm(std::string_view name) {
  return name.ends_with("audio_tower.layers.0.self_attn_layer_norm.weight") ||
         name.ends_with("thinker.model.layers.0.input_layernorm.weight");
}

bool is_residual_norm(std::string_view name) {
  return name.ends_with("layer_norm.weight") || name.ends_with("layernorm.weight") ||
         name.ends_with("ln_post.weight") || name.ends_with("model.norm.weight");
}

}  // namespace

RowFactors spiky_factors(std::string_view official_name) {
  const auto ends_with = [&](std::string_view suffix) { return official_name.ends_with(suffix); };
  if (ends_with("o_proj.weight") || ends_with("out_proj.weight") || ends_with("out_proj.bias")) {
    return {.usual = 1, .large = 200, .spacing = kHiddenSpacing};
  }
  if (ends_with("down_proj.weight") || ends_with("fc2.weight") || ends_with("fc2.bias")) {
    // Layer 0 writes most, and the channels keep about their size from there on, as in trained models.
    const double usual = official_name.find(".layers.0.") != std::string_view::npos ? 16 : 2;
    return {.usual = usual, .large = 200 * usual, .spacing = kHiddenSpacing};
  }
  if (ends_with("gate_proj.weight") || ends_with("up_proj.weight")) {
    return {.usual = 1, .large = 4, .spacing = kInnerSpacing};
  }
  if (ends_with("fc1.weight")) return {.usual = 1, .large = 16, .spacing = kInnerSpacing};
  // The large channels make the root mean square of a row about 16 times that of its other channels.
  if (is_residual_norm(official_name) && !is_first_norm(official_name)) {
    return {.usual = 16, .large = 1, .spacing = kHiddenSpacing};
  }
  return {};
}

}  // namespace qasr
