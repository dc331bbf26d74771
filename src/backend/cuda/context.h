// What all operations of one GPU share: its stream, a lock, scratch memory, staging of small host data, and recorded
// graphs.
//
// Stream plan: one stream of operations. Those of one thread run in the order of their calls; calls of several threads
// queue up behind the lock, each operation as a whole, so scratch memory needs one owner only. Small copies to the GPU
// go through page-locked memory on the same stream; large ones (samples) go to memory of their own on a second stream
// while earlier operations still run, and from there to their place. Copies back wait for the stream or, in a
// ReadQueue, for an event.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/cuda/device_memory.h"

namespace qasr::cuda {

/// Uses of scratch memory; those of one operation must differ.
enum class Scratch {
  kProduct,
  kWorkspace,
  kAttention,
  kCounters,
  kArgmax,
  kConv,
  kPatches,
  kConvOut,
  kIndices,
  kTables,
  kCodes,
  kWidened,
  kCount
};

/// Weights that a later product reads: memory to bring into the L2 cache.
struct Upcoming {
  const void* data = nullptr;
  std::uint32_t bytes = 0;
};

class Context {
 public:
  explicit Context(int device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// The GPU of this context, for the calling thread, and the right to launch on its stream.
  class Use {
   public:
    explicit Use(Context& context) : lock_(context.mutex_) {
      check(cudaSetDevice(context.device_), "choosing the GPU");
    }

   private:
    std::unique_lock<std::recursive_mutex> lock_;
  };

  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  int n_multiprocessors() const { return n_multiprocessors_; }
  /// Whether a kernel can start before the one before it has finished.
  bool can_overlap() const { return can_overlap_; }
  /// Major times ten and minor: 90.
  int compute_capability() const { return compute_capability_; }
  const std::string& name() const { return name_; }
  std::size_t memory_bytes() const { return memory_bytes_; }

  /// Memory of at least `bytes`, valid until the next call for the same use.
  void* scratch(Scratch use, std::size_t bytes);
  template <typename T>
  T* scratch(Scratch use, std::int64_t n) {
    return static_cast<T*>(scratch(use, static_cast<std::size_t>(n) * sizeof(T)));
  }

  /// Zeros at first, and again after every kernel that uses it: n counters.
  unsigned* counters(std::int64_t n);

  /// A product reads these weights now. Decode steps read the same ones in the same order, so what follows is known
  /// from the step before.
  void use_weights(const void* data, std::size_t bytes);
  /// Weights are about to be freed: nothing prefetches them from now on.
  void forget_weights();
  /// What followed the weights used last, the last time they were used; nothing on GPUs that cannot prefetch in bulk.
  Upcoming upcoming_weights() const;

  /// Enqueues a copy to the GPU; `host` may change when the call returns.
  void upload(const void* host, void* device, std::size_t bytes);
  /// The same for large data: the way to the GPU overlaps with operations called before.
  void upload_aside(const void* host, void* device, std::size_t bytes);
  /// Indices on the GPU until the next call. Indices equal to the last ones stay where they are.
  const std::int32_t* upload_indices(std::span<const std::int32_t> indices);

  /// See Backend::run_recorded. Eager the first time, which grows scratch memory; recorded the second time.
  void run_recorded(std::span<const std::uintptr_t> key, const std::function<void()>& operations);

  void synchronize() { check(cudaStreamSynchronize(stream_), "waiting for the GPU"); }

 private:
  struct Recording {
    cudaGraphExec_t graph = nullptr;  // null: ran once, not recorded yet
    std::uint64_t last_use = 0;       // the number of a call of run_recorded
  };
  cudaGraphExec_t record(const std::function<void()>& operations);
  void forget_recordings();
  void forget_old_recordings();

  int device_;
  std::recursive_mutex mutex_;
  cudaStream_t stream_ = nullptr;
  std::string name_;
  int n_multiprocessors_ = 0, compute_capability_ = 0;
  bool can_overlap_ = false;
  std::size_t memory_bytes_ = 0;

  std::array<DeviceMemory, static_cast<std::size_t>(Scratch::kCount)> scratch_;

  // Staging: two halves; the one being filled is free once the copies of its last round are done.
  static constexpr std::size_t kHalfBytes = std::size_t{4} << 20;
  PinnedMemory staging_;
  std::array<Event, 2> half_done_;
  std::size_t half_ = 0, half_used_ = 0;
  std::vector<std::int32_t> last_indices_;

  // Large copies: places for pieces, as many as are under way but not more than kAsideBytes; one is free again when it
  // has been copied to its destination.
  static constexpr std::size_t kPieceBytes = std::size_t{8} << 20, kAsideBytes = std::size_t{128} << 20;
  struct Aside {
    DeviceMemory memory;
    Event arrived, consumed;
  };
  Aside& free_aside(std::size_t bytes);
  cudaStream_t copy_stream_ = nullptr;
  std::vector<Aside> aside_;
  std::size_t next_aside_ = 0, aside_bytes_ = 0;

  std::unordered_map<const void*, Upcoming> successors_;
  const void* last_weights_ = nullptr;

  std::map<std::vector<std::uintptr_t>, Recording> recordings_;
  std::uint64_t n_recorded_calls_ = 0;
};

}  // namespace qasr::cuda
