// Tables of choices that were made by measuring: recorded encoder layers, choosing tokens on the GPU.
#pragma once

#include "workload.h"

namespace qasr::bench {

/// The encoder with recorded layers and without, by number of clips.
void print_recorded_encoder(Workload& workload);
/// Decode steps with the most likely token, with options on the GPU and with options on the host.
void print_sampling(Workload& workload);

}  // namespace qasr::bench
