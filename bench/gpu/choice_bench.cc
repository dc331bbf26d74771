#include "choice_bench.h"

#include <cstdio>

namespace qasr::bench {

void print_recorded_encoder(Workload& workload) {
  std::printf("\n| encoder | ms | recorded ms | times |\n|---|---|---|---|\n");
  struct Case {
    int n_clips;
    double clip_s;
  };
  for (const Case& c : {Case{1, 1}, {1, 2}, {1, 8}, {1, 10}, {1, 30}, {1, 60}, {1, 120}, {4, 30}, {8, 30}, {20, 30}}) {
    const double plain = workload.encoder_s(c.n_clips, c.clip_s, false);
    const double recorded = workload.encoder_s(c.n_clips, c.clip_s, true);
    std::printf("| %d x %g s | %.3f | %.3f | %.2f |\n", c.n_clips, c.clip_s, plain * 1e3, recorded * 1e3,
                plain / recorded);
    std::fflush(stdout);
  }
}

void print_sampling(Workload& workload) {
  std::printf("\n| decode step of 460 positions, sequences | options | most likely ms | GPU ms | host ms |\n");
  std::printf("|---|---|---|---|---|\n");
  struct Case {
    const char* name;
    SamplingOptions options;
  };
  const Case cases[] = {
      {"temperature", {.temperature = 0.8}},
      {"penalty, no repeated n-gram", {.repetition_penalty = 1.2, .no_repeat_ngram_size = 4}},
      {"temperature, top-k 50, top-p 0.95", {.temperature = 0.8, .top_k = 50, .top_p = 0.95}},
      {"all", {.temperature = 0.8, .top_k = 50, .top_p = 0.95, .repetition_penalty = 1.2, .no_repeat_ngram_size = 4}}};
  for (int n : {1, 8, 64}) {
    const double most_likely = workload.decode_step_s(n, 460, 40);
    for (const Case& c : cases) {
      const double gpu = workload.decode_step_s(n, 460, 40, c.options);
      const double host = workload.host_choice_step_s(n, 460, n <= 8 ? 8 : 1, c.options);
      std::printf("| %d | %s | %.3f | %.3f | %.2f |\n", n, c.name, most_likely * 1e3, gpu * 1e3, host * 1e3);
      std::fflush(stdout);
    }
  }
}

}  // namespace qasr::bench
