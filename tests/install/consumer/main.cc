// consumer MODEL: transcribes two seconds of silence with an installed checkpoint.
#include <qasr/engine.h>
#include <qasr/version.h>

#include <cstdio>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    qasr::Session session(qasr::Engine::open(argv[1]));
    const std::vector<float> silence(2 * qasr::kSampleRate, 0.0F);
    const qasr::Transcript transcript = session.transcribe(silence);
    std::printf("qasr %s: silence has %s\n", qasr::version(), transcript.text.empty() ? "no text" : "text");
    return 0;
  } catch (const qasr::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
