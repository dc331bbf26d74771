// Names of the formats in memory, for options and reports.
#pragma once

#include <map>
#include <string>

#include "qasr/options.h"

namespace qasr::app {

inline const std::map<std::string, WeightFormat> kWeightFormats = {
    {"auto", WeightFormat::kAuto},   {"stored", WeightFormat::kStored}, {"f32", WeightFormat::kF32},
    {"bf16", WeightFormat::kBf16},   {"q8", WeightFormat::kQ8},         {"q4", WeightFormat::kQ4},
    {"q4g32", WeightFormat::kQ4G32}, {"fp8", WeightFormat::kFp8}};
inline const std::map<std::string, KvCacheFormat> kKvCacheFormats = {{"auto", KvCacheFormat::kAuto},
                                                                     {"f32", KvCacheFormat::kF32},
                                                                     {"bf16", KvCacheFormat::kBf16},
                                                                     {"fp8", KvCacheFormat::kFp8}};

/// The name of a format; every one has one.
template <typename Format>
std::string format_name(const std::map<std::string, Format>& names, Format format) {
  for (const auto& [name, value] : names) {
    if (value == format) return name;
  }
  return {};
}

}  // namespace qasr::app
