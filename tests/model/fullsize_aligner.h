// The forced aligner of the published size with synthetic weights, for qasr_fullsize_check.
#pragma once

#include <string>

namespace qasr::testing {

inline constexpr const char* kFullsizeAligner = "qwen3-forced-aligner-0.6b";

/// f32 against transformers (tests/golden/aligner): logits and classes of two recordings in one pass; then q8 against
/// that run. With isa "cuda", bf16 on a GPU against transformers. Prints a report; true if all limits hold.
bool check_fullsize_aligner(const std::string& isa);

}  // namespace qasr::testing
