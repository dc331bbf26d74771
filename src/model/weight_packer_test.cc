// A model takes every tensor of its checkpoint through the packer and reports each exactly once, when it is packed.
#include "model/weight_packer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "model/audio_encoder.h"
#include "model/text_decoder.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/synthetic_models.h"

namespace qasr {
namespace {

TEST(WeightPacker, ReportsEveryTensorOnce) {
  for (const char* name : {"tiny_a", "tiny_b", "tiny_c", "tiny_d"}) {
    const SyntheticModel model = synthetic_model(name);
    const CheckpointFiles files = synthetic_checkpoint(model);
    const WeightStore weights(files, model.config);
    const auto backend = make_cpu_backend(2, "");
    std::map<std::string, int> reports;
    const WeightPacker packer(weights, *backend, WeightFormat::kF32,
                              [&](const HostTensor& tensor) { ++reports[tensor.name]; });
    const AudioEncoder encoder(model.config.audio, packer);
    const TextDecoder decoder(model.config.text, model.config.audio_token_id, packer);
    for (const HostTensor& tensor : weights.all()) EXPECT_EQ(reports[tensor.name], 1) << name << ": " << tensor.name;
    EXPECT_EQ(reports.size(), weights.all().size());
  }
}

// One product with a packed matrix whose checkpoint is overwritten, if asked, as soon as the packer reports it.
std::vector<float> product(Backend& backend, bool overwrite) {
  const SyntheticModel model = synthetic_model("tiny_a");
  const CheckpointFiles files = synthetic_checkpoint(model);
  const WeightStore weights(files, model.config);
  const WeightPacker packer(weights, backend, WeightFormat::kF32, [&](const HostTensor& tensor) {
    auto* bytes = const_cast<std::byte*>(tensor.bytes.data());  // the generated checkpoint's own memory, not const
    if (overwrite) std::fill_n(bytes, tensor.bytes.size(), std::byte{0x3f});
  });
  const auto weight = packer.linear(MatrixRole::kDecoderLayer, {"model.layers.0.mlp.down_proj.weight"});
  const std::vector<float> input(static_cast<std::size_t>(weight->in_features()), 1.0F);
  DeviceTensor x, y;
  backend.upload(input.data(), x.resize(backend, {1, weight->in_features()}));
  backend.linear(x.view(), *weight, y.resize(backend, {1, weight->out_features()}), {});
  std::vector<float> output(static_cast<std::size_t>(weight->out_features()));
  backend.download(y.view(), output.data());
  return output;
}

TEST(WeightPacker, PackedWeightsDoNotReadTheCheckpoint) {
  for (const auto& backend : {make_cpu_backend(2, ""), make_reference_backend()}) {
    EXPECT_EQ(product(*backend, true), product(*backend, false)) << backend->description();
  }
}

}  // namespace
}  // namespace qasr
