#include "backend/cpu/isa_selection.h"

#include <array>

#include "backend/cpu/isa/tables.h"
#include "base/cpu_features.h"
#include "qasr/error.h"

namespace qasr::cpu {
namespace {

struct Candidate {
  const char* name;
  const isa::KernelTable* table;  // null: not in this build
  bool supported;
};

// Null: not in this build.
const isa::KernelTable* avx512_bf16_table() {
  if (kAvx512VnniTable == nullptr || kAvx512Bf16Pairs == nullptr) return nullptr;
  static const isa::KernelTable table = [] {
    isa::KernelTable with_pairs = *kAvx512VnniTable;
    with_pairs.name = "avx512-bf16";
    with_pairs.pairs = *kAvx512Bf16Pairs;
    return with_pairs;
  }();
  return &table;
}

// From worst to best.
std::array<Candidate, 10> candidates() {
  const CpuFeatures cpu = cpu_features();
  const Candidate vnni = {"avx512-vnni", kAvx512VnniTable, cpu.avx512_vnni};
  const Candidate bf16 = {"avx512-bf16", avx512_bf16_table(), cpu.avx512_bf16};
  // AMD's processors multiply bf16 twice as fast as f32, a Xeon half as fast (docs/performance.md).
  return {{{"generic", kGenericTable, true},
           {"neon", kNeonTable, cpu.neon},
           {"neon-dotprod", kNeonDotprodTable, cpu.neon_dotprod},
           {"neon-i8mm", kNeonI8mmTable, cpu.neon_i8mm},
           {"avx2", kAvx2Table, cpu.avx2},
           {"avx2-vnni", kAvx2VnniTable, cpu.avx2_vnni},
           {"avx512", kAvx512Table, cpu.avx512},
           cpu.amd ? vnni : bf16,
           cpu.amd ? bf16 : vnni,
           {"avx512-amx", kAvx512AmxTable, cpu.avx512_amx}}};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) {
    if (candidate.table != nullptr && candidate.supported) names.emplace_back(candidate.name);
  }
  return names;
}

const isa::KernelTable& select_isa(const std::string& name) {
  const isa::KernelTable* best = nullptr;
  std::vector<std::string> known;
  bool is_known = false;
  for (const Candidate& candidate : candidates()) {
    known.emplace_back(candidate.name);
    is_known |= name == candidate.name;
    const bool usable = candidate.table != nullptr && candidate.supported;
    if (usable && (name.empty() || name == candidate.name)) best = candidate.table;
  }
  if (best != nullptr) return *best;
  if (!is_known) {
    throw Error(ErrorCode::kInvalidArgument,
                "cpu: unknown instruction set \"" + name + "\", expected one of " + joined(known));
  }
  throw Error(ErrorCode::kDevice, "cpu: instruction set \"" + name + "\" is not supported by this machine, which has " +
                                      joined(supported_isas()));
}

std::size_t stream_ahead_bytes() {
  // Measured on a Xeon, where asking gains, and on AMD's Zen 4, where it loses (docs/performance.md).
  constexpr std::size_t kAhead = 3072;
  static const bool is_amd = cpu_features().amd;
  return is_amd ? 0 : kAhead;
}

}  // namespace qasr::cpu
