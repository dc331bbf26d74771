#include "model/token_chooser.h"

#include <cmath>
#include <string>

#include "qasr/error.h"

namespace qasr {
namespace {

constexpr double kMaxTemperature = 2;

void require(bool valid, const char* option, double found, const char* expected) {
  if (valid) return;
  std::string value = std::to_string(found);
  throw Error(ErrorCode::kInvalidArgument, std::string(option) + " is " + value + ", expected " + expected);
}

}  // namespace

void check_sampling(const SamplingOptions& options) {
  require(options.temperature >= 0 && options.temperature <= kMaxTemperature, "temperature", options.temperature,
          "0 to 2");
  require(options.top_k >= 0, "top_k", options.top_k, "0 or more");
  require(options.top_p > 0 && options.top_p <= 1, "top_p", options.top_p, "more than 0, at most 1");
  require(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty), "repetition_penalty",
          options.repetition_penalty, "a number above 0");
  require(options.no_repeat_ngram_size >= 0, "no_repeat_ngram_size", options.no_repeat_ngram_size, "0 or more");
  const bool draws = options.temperature > 0;
  require(draws || options.top_k == 0, "top_k", options.top_k, "0 without a temperature: nothing is drawn");
  require(draws || options.top_p == 1, "top_p", options.top_p, "1 without a temperature: nothing is drawn");
}

TokenChooser::TokenChooser(const SamplingOptions& options, std::uint64_t stream)
    : options_(options), state_(options.seed) {
  state_ = split_mix(state_) ^ (stream * 0xd1342543de82ef95ULL);
}

void TokenChooser::advance() {
  if (options_.temperature > 0) split_mix(state_);
}

}  // namespace qasr
