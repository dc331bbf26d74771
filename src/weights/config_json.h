// ModelConfig -> the JSON files of a checkpoint directory, in either layout. What parse_model_config reads back is the
// same configuration.
#pragma once

#include <string>

#include "tensor/dtype.h"
#include "weights/model_config.h"

namespace qasr {

/// config.json in the layout `config.layout`. `dtype` is recorded for other programs; the engine looks at the tensors.
std::string config_json(const ModelConfig& config, DType dtype);
/// generation_config.json
std::string generation_config_json(const ModelConfig& config);
/// preprocessor_config.json: the log-mel front end
std::string preprocessor_config_json(const ModelConfig& config);

}  // namespace qasr
