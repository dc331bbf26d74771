#include "bench/synthetic_cache.h"

#include <unistd.h>

#include <system_error>

#include "bench/synthetic_tokenizer.h"
#include "qasr/error.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kSeed = 0;

/// Removed with everything in it unless it has been renamed.
struct TemporaryDirectory {
  fs::path path;
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

fs::path cached_synthetic_checkpoint(const fs::path& cache_dir, const std::string& model,
                                     const std::function<void(std::string_view)>& log) {
  const fs::path directory = cache_dir / ("synthetic-" + model + "-seed-" + std::to_string(kSeed));
  if (fs::exists(directory)) {
    write_synthetic_tokenizer(directory);  // one of an earlier version has none
    return directory;
  }
  if (log) log("writing a synthetic checkpoint of " + model + " to " + directory.string());
  const TemporaryDirectory temporary{directory.string() + ".part-" + std::to_string(::getpid())};
  write_synthetic_checkpoint(temporary.path, synthetic_model(model), {.seed = kSeed});
  write_synthetic_tokenizer(temporary.path);
  std::error_code error;
  fs::rename(temporary.path, directory, error);
  // Another process may have been faster; its files hold the same bytes.
  if (error && !fs::exists(directory)) {
    throw Error(ErrorCode::kModel,
                "cannot rename " + temporary.path.string() + " to " + directory.string() + ": " + error.message());
  }
  return directory;
}

}  // namespace qasr::bench
