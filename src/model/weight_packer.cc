#include "model/weight_packer.h"

#include <span>

#include "tensor/stored_blocks.h"

namespace qasr {

DeviceTensor WeightPacker::vector(const std::string& name) const {
  const HostTensor& source = weights_.tensor(name);
  DeviceTensor vector = upload_f32(backend_, source);
  packed({&source, 1});
  return vector;
}

std::unique_ptr<LinearWeight> WeightPacker::linear(MatrixRole role, std::initializer_list<std::string> matrices,
                                                   std::initializer_list<std::string> biases) const {
  const std::vector<HostTensor> matrix_tensors = tensors(matrices), bias_tensors = tensors(biases);
  auto weight = backend_.make_linear(matrix_tensors, bias_tensors, format_of(role, matrix_tensors));
  packed(matrix_tensors);
  packed(bias_tensors);
  return weight;
}

std::unique_ptr<LinearWeight> WeightPacker::gate_up(MatrixRole role, const std::string& gate,
                                                    const std::string& up) const {
  const std::vector<HostTensor> parts = tensors({gate, up});
  auto weight = backend_.make_gate_up(parts[0], parts[1], format_of(role, parts));
  packed(parts);
  return weight;
}

std::unique_ptr<ConvStemWeight> WeightPacker::conv_stem(MatrixRole role, const std::string& prefix) const {
  const auto three = [&](const std::string& suffix) {
    return tensors({prefix + "1." + suffix, prefix + "2." + suffix, prefix + "3." + suffix});
  };
  const std::vector<HostTensor> weights = three("weight"), biases = three("bias");
  auto stem = backend_.make_conv_stem(std::span<const HostTensor, 3>(weights), std::span<const HostTensor, 3>(biases),
                                      format_of(role, weights));
  packed(weights);
  packed(biases);
  return stem;
}

WeightFormat WeightPacker::format_of(MatrixRole role, std::span<const HostTensor> tensors) const {
  const WeightFormat fallback = backend_.default_weights();
  const bool keep =
      format_ == WeightFormat::kStored || (format_ == WeightFormat::kAuto && fallback == WeightFormat::kQ8);
  if (const auto held = stored_format(tensors); keep && held) return *held;
  return matrix_format(format_ == WeightFormat::kAuto ? fallback : format_, role);
}

std::vector<HostTensor> WeightPacker::tensors(std::initializer_list<std::string> names) const {
  std::vector<HostTensor> found;
  for (const std::string& name : names) found.push_back(weights_.tensor(name));
  return found;
}

void WeightPacker::packed(std::span<const HostTensor> tensors) const {
  if (!on_packed_) return;
  for (const HostTensor& tensor : tensors) on_packed_(tensor);
}

}  // namespace qasr
