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
    {0.2608f, 5.1086f, 4.6351f, 5.5591f, 0.32405f, 0.1909f, 0.63273f, 0.16774f, 8.1578f, 3.9467f, 0.68096f, 0.49593f},
    {0.2549f, 4.3146f, 3.6214f, 3.7928f, 0.29809f, 0.29413f, 0.19314f, 0.072483f, 5.1371f, 2.2169f, 0.3127f, 0.31181f},
    {{0.16281f, 0.12304f, -0.18925f, -0.31345f, 0.86328f, 1.5718f, -2.9045f, 0.18683f, 0.33475f, 0.31996f, -0.095018f, 1.2787f},
     {0.24321f, 0.57321f, -0.74421f, 0.29562f, 1.2576f, -1.0034f, 0.4088f, -0.1786f, 0.11838f, 0.32954f, -0.52432f, -0.10877f},
     {-0.0081607f, -1.0596f, 0.024861f, -0.93303f, 2.0891f, -3.1665f, -0.2824f, -0.024942f, 0.20834f, -0.39281f, 0.14292f, -0.34537f},
     {-1.3029f, 0.79072f, -0.25555f, -0.2852f, -1.9659f, -0.44841f, 0.28623f, -0.36267f, 0.39161f, 0.09025f, 0.15858f, 0.54606f},
     {-0.77041f, -1.2483f, 0.098857f, 1.5453f, 0.24272f, 0.30017f, 0.46296f, -0.5484f, -1.6731f, -0.25684f, -0.0011139f, -0.91382f},
     {-0.52744f, 0.035843f, -0.32645f, 0.90227f, 0.71262f, -1.8871f, 0.5163f, 0.070966f, -0.1533f, 0.66955f, -0.2011f, -0.33826f}},
    {-0.9518f, -1.4351f, -2.1957f, 0.020516f, -1.3742f, -0.30432f},
    {-3.6279f, 3.5628f, -4.5983f, 2.8653f, -3.9708f, -2.5157f},
    -2.4902f};

}  // namespace qasr
