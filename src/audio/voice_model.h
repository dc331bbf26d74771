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
    {0.30648f, 4.9162f, 4.4759f, 5.4037f, 0.31421f, 0.17785f, 0.63512f, 0.17107f, 8.2443f, 4.0135f, 0.68627f, 0.49931f},
    {0.28468f, 4.0444f, 3.4024f, 3.6746f, 0.29131f, 0.28382f, 0.18917f, 0.071968f, 5.1016f, 2.2198f, 0.30275f, 0.307f},
    {{0.07307f, 0.018517f, -0.046349f, -0.42959f, -0.13154f, 2.2028f, -2.484f, 0.20404f, 0.59802f, 0.23192f, -0.025682f, 1.1506f},
     {-0.60189f, 1.1679f, -0.24188f, -0.2708f, 1.3824f, 2.4358f, 0.37134f, -0.36304f, 0.59148f, 0.39275f, -0.20937f, -0.17228f},
     {-1.6691f, 0.13282f, 0.60165f, 0.40219f, 1.2589f, -0.49692f, -0.077906f, 0.34747f, -0.38023f, 1.328f, -0.12055f, 0.19869f},
     {-0.99901f, 0.24917f, 0.24625f, -0.43956f, -2.075f, -0.26187f, 0.56886f, -0.30628f, 0.5233f, 0.034641f, 0.093086f, 0.46681f},
     {-0.25648f, -2.1042f, -0.25769f, -0.11777f, 1.4637f, -1.3911f, 0.023934f, -0.15692f, -0.10806f, -0.23723f, 0.30783f, -0.7764f},
     {-0.1553f, -0.91642f, 0.94156f, -0.14434f, 1.1071f, -0.72739f, 0.48209f, -0.25858f, -0.070489f, -1.031f, -0.066101f, -0.46683f}},
    {-1.0905f, 0.87185f, 0.14688f, 0.080595f, -2.129f, -0.1007f},
    {-3.606f, 3.8765f, -2.8642f, 3.8317f, -3.5142f, -3.407f},
    -2.1552f};

}  // namespace qasr
