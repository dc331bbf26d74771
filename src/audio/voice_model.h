// Coefficients of voice_likelihood(): six hidden units over the twelve statistics. Made by tools/fit_voice_model.py.
#pragma once

namespace qasr {

struct VoiceModel {
  static constexpr int kInputs = 12, kHidden = 6;
  float mean[kInputs];
  float deviation[kInputs];
  float weights[kHidden][kInputs];
  float hidden_bias[kHidden];
  float output[kHidden];
  float bias;
};

inline constexpr VoiceModel kVoiceModel = {
    {0.19398f, 4.1524f, 4.0648f, 6.4077f, 0.45325f, 0.33514f, 0.67293f, 0.15656f, 9.0975f, 3.542f, 0.74902f, 0.55807f},
    {0.24248f, 3.9783f, 3.2899f, 4.721f, 0.32728f, 0.34768f, 0.18477f, 0.068327f, 5.6739f, 2.1123f, 0.28946f, 0.31107f},
    {{-0.10451f, -0.16807f, 0.24037f, -0.57448f, -0.15768f, 2.6698f, -2.1401f, 0.31978f, 0.57993f, 0.36846f, 0.07357f, 1.0555f},
     {-0.25169f, 0.17061f, 0.16263f, -0.38883f, -2.7559f, 1.1095f, 0.6753f, 0.17502f, 0.57953f, -0.2758f, 0.28127f, -0.17918f},
     {0.15512f, -0.33365f, -0.24168f, -0.057743f, -1.4054f, -1.9063f, -0.61351f, 0.63332f, -0.7885f, -0.36193f, 0.0084169f, 0.31608f},
     {-1.0402f, 0.29919f, -0.167f, -0.51956f, -1.5251f, -0.2347f, 0.05404f, -0.17584f, 0.14169f, 0.27778f, -0.040261f, 0.56506f},
     {-0.85806f, -0.62567f, 0.36921f, 1.385f, 0.4249f, 0.50168f, 0.45809f, -0.33849f, -1.5639f, -0.14728f, 0.016271f, -0.82521f},
     {-0.23777f, -2.1311f, -0.20906f, -0.10493f, 0.87834f, -1.1148f, 0.42719f, -0.077249f, 0.21651f, -0.46899f, 0.38423f, -0.84632f}},
    {-0.38241f, -1.2074f, -1.6412f, -0.28527f, -0.18405f, -1.3605f},
    {-3.761f, 3.4257f, -3.7469f, 2.3594f, -3.2589f, -3.2991f},
    -1.6742f};

}  // namespace qasr
