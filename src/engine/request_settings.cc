#include "engine/request_settings.h"

#include <algorithm>
#include <cmath>

#include "model/token_chooser.h"
#include "qasr/audio.h"
#include "qasr/error.h"
#include "text/language_name.h"

namespace qasr {
namespace {

constexpr double kOfficialMaxSegment_s = 1200;
constexpr double kMinSegment_s = 1;
constexpr int kMinBudget = 256, kBudgetPerSecond = 16;
constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

[[noreturn]] void bad_argument(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

}  // namespace

std::string hotword_context(std::string_view context, const std::vector<std::string>& hotwords) {
  std::string words;
  for (const std::string& word : hotwords) {
    const std::size_t begin = word.find_first_not_of(kWhiteSpace);
    if (begin == std::string::npos) continue;
    words += (words.empty() ? "" : ", ") + word.substr(begin, word.find_last_not_of(kWhiteSpace) + 1 - begin);
  }
  if (words.empty()) return std::string(context);
  return std::string(context) + (context.empty() ? "" : "\n") + "Vocabulary: " + words;
}

RequestSettings resolve_settings(const TranscribeOptions& options) {
  if (options.max_tokens < 0) {
    bad_argument("max_tokens is " + std::to_string(options.max_tokens) + ", expected 0 or more");
  }
  if (!(options.guards.max_tokens_per_s > 0 && std::isfinite(options.guards.max_tokens_per_s))) {
    bad_argument("guards.max_tokens_per_s is " + std::to_string(options.guards.max_tokens_per_s) +
                 ", expected a number above 0");
  }
  check_sampling(options.sampling);
  return {.forced_language = resolve_language(options.language),
          .system_text = hotword_context(options.context, options.hotwords),
          .sampling = options.sampling,
          .guards = options.guards,
          .max_tokens = options.max_tokens,
          .pad_short_clips = options.pad_short_clips,
          .short_clip_padding = options.short_clip_padding};
}

double resolve_max_segment_s(double requested_s, const ModelConfig& config) {
  if (std::isnan(requested_s) || requested_s < 0 || (requested_s > 0 && requested_s < kMinSegment_s)) {
    bad_argument("max_segment_s is " + std::to_string(requested_s) + ", expected 0 or at least 1");
  }
  if (requested_s > 0) return requested_s;
  return config.recommended_max_segment_s > 0 ? config.recommended_max_segment_s : kOfficialMaxSegment_s;
}

void check_samples(std::span<const float> samples) {
  const auto bad = std::find_if(samples.begin(), samples.end(), [](float x) { return !std::isfinite(x); });
  if (bad == samples.end()) return;
  bad_argument("sample " + std::to_string(bad - samples.begin()) + " is " + std::to_string(*bad) +
               ", expected finite numbers");
}

int token_budget(double duration_s) {
  return std::max(kMinBudget, static_cast<int>(std::ceil(duration_s * kBudgetPerSecond)));
}

int answer_budget(const TextDecoderConfig& config, std::int64_t pool_positions, std::size_t n_prompt_tokens,
                  double duration_s, int max_tokens) {
  const int budget = max_tokens > 0 ? max_tokens : token_budget(duration_s);
  const int room = config.max_positions - static_cast<int>(n_prompt_tokens);
  // Without an explicit limit an answer may be shorter than its budget, but not cut below what speech needs.
  const int needed = max_tokens > 0 ? budget : budget / 2;
  const std::string needs = "a segment of " + std::to_string(std::lround(duration_s)) + " s needs " +
                            std::to_string(n_prompt_tokens) + " positions for the prompt and " +
                            std::to_string(needed) + " for the answer, ";
  if (room < needed) {
    throw Error(ErrorCode::kInput, "audio too long: " + needs + "the model has " +
                                       std::to_string(config.max_positions) +
                                       "; set a smaller max_segment_s so that it is cut at a pause");
  }
  const std::int64_t pool_room = pool_positions - static_cast<std::int64_t>(n_prompt_tokens);
  if (pool_room < needed) {
    throw Error(ErrorCode::kOutOfMemory, "KV cache: " + needs + "its memory holds " + std::to_string(pool_positions) +
                                             "; raise kv_cache_bytes or set a smaller max_segment_s");
  }
  return std::min({budget, room, static_cast<int>(std::min<std::int64_t>(pool_room, config.max_positions))});
}

}  // namespace qasr
