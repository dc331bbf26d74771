#include "backend/cuda/context.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace qasr::cuda {
namespace {

// Graphs kept: one per batch size of decode steps and one per bucket of encoder rows. Beyond that the half that was
// used least recently is dropped, and made again as needed.
constexpr std::size_t kMaxRecordings = 384;

int choose(int device) {
  check(cudaSetDevice(device), "choosing the GPU");
  return device;
}

}  // namespace

Context::Context(int device) : device_(choose(device)), staging_(2 * kHalfBytes) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "properties of the GPU");
  name_ = properties.name;
  n_multiprocessors_ = properties.multiProcessorCount;
  memory_bytes_ = properties.totalGlobalMem;
  compute_capability_ = properties.major * 10 + properties.minor;
  can_overlap_ = properties.major >= 9;
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  check(cudaStreamCreateWithFlags(&copy_stream_, cudaStreamNonBlocking), "stream");
}

Context::~Context() {
  cudaSetDevice(device_);
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  forget_recordings();
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
  if (copy_stream_ != nullptr) cudaStreamDestroy(copy_stream_);
}

void* Context::scratch(Scratch use, std::size_t bytes) {
  DeviceMemory& memory = scratch_[static_cast<std::size_t>(use)];
  if (memory.bytes() < bytes) {
    forget_recordings();      // they hold the old address
    memory = DeviceMemory();  // first, so that old and new memory never exist side by side
    memory = DeviceMemory(bytes);
  }
  return memory.data();
}

unsigned* Context::counters(std::int64_t n) {
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(unsigned);
  const bool grows = scratch_[static_cast<std::size_t>(Scratch::kCounters)].bytes() < bytes;
  auto* memory = static_cast<unsigned*>(scratch(Scratch::kCounters, bytes));
  if (grows) check(cudaMemsetAsync(memory, 0, bytes, stream_), "counters");
  return memory;
}

void Context::use_weights(const void* data, std::size_t bytes) {
  constexpr std::size_t kMostBytes = std::size_t{16} << 20;  // a part of the L2 cache; the head is larger
  successors_[last_weights_] = {data, static_cast<std::uint32_t>(std::min(bytes, kMostBytes) / 128 * 128)};
  last_weights_ = data;
}

void Context::forget_weights() {
  const std::lock_guard lock(mutex_);
  if (successors_.empty()) return;
  forget_recordings();  // they hold addresses
  successors_.clear();
  last_weights_ = nullptr;
}

Upcoming Context::upcoming_weights() const {
  const auto found = successors_.find(last_weights_);
  return can_overlap_ && found != successors_.end() ? found->second : Upcoming{};
}

void Context::upload(const void* host, void* device, std::size_t bytes) {
  if (bytes == 0) return;
  const void* source = host;
  if (bytes <= kHalfBytes) {
    if (half_used_ + bytes > kHalfBytes) {
      half_done_[half_].record(stream_);
      half_ = 1 - half_;
      half_used_ = 0;
      half_done_[half_].wait();
    }
    std::byte* place = staging_.data() + half_ * kHalfBytes + half_used_;
    std::memcpy(place, host, bytes);
    half_used_ += (bytes + 255) / 256 * 256;
    source = place;
  }
  // From pageable memory the call returns when the source has been read.
  check(cudaMemcpyAsync(device, source, bytes, cudaMemcpyHostToDevice, stream_), "copy to the GPU");
}

// The next place if it is free and large enough; else a new one, or when there are enough of them that one all the
// same, and the copy stream waits.
Context::Aside& Context::free_aside(std::size_t bytes) {
  if (next_aside_ == aside_.size()) next_aside_ = 0;
  const bool fits = !aside_.empty() && aside_[next_aside_].memory.bytes() >= bytes;
  if (!(fits && aside_[next_aside_].consumed.is_done()) && aside_bytes_ + bytes <= kAsideBytes) {
    aside_.insert(aside_.begin() + static_cast<std::ptrdiff_t>(next_aside_), Aside{DeviceMemory(bytes), {}, {}});
    aside_bytes_ += bytes;
    return aside_[next_aside_++];
  }
  Aside& aside = aside_[next_aside_++];
  if (!fits) {
    aside_bytes_ -= aside.memory.bytes();
    aside.memory = DeviceMemory();  // waits for copies that still use it
    aside.memory = DeviceMemory(bytes);
    aside_bytes_ += bytes;
  }
  aside.consumed.hold(copy_stream_);
  return aside;
}

void Context::upload_aside(const void* host, void* device, std::size_t bytes) {
  constexpr std::size_t kSmall = std::size_t{64} << 10;
  if (bytes <= kSmall) return upload(host, device, bytes);
  for (std::size_t begin = 0; begin < bytes; begin += kPieceBytes) {
    const std::size_t n = std::min(kPieceBytes, bytes - begin);
    Aside& aside = free_aside(n);
    check(cudaMemcpyAsync(aside.memory.data(), static_cast<const std::byte*>(host) + begin, n, cudaMemcpyHostToDevice,
                          copy_stream_),
          "copy to the GPU");
    aside.arrived.record(copy_stream_);
    aside.arrived.hold(stream_);
    check(cudaMemcpyAsync(static_cast<std::byte*>(device) + begin, aside.memory.data(), n, cudaMemcpyDeviceToDevice,
                          stream_),
          "copy to the GPU");
    aside.consumed.record(stream_);
  }
}

const std::int32_t* Context::upload_indices(std::span<const std::int32_t> indices) {
  auto* place = scratch<std::int32_t>(Scratch::kIndices, static_cast<std::int64_t>(indices.size()));
  if (!std::equal(indices.begin(), indices.end(), last_indices_.begin(), last_indices_.end())) {
    last_indices_.clear();  // also if the copy fails
    upload(indices.data(), place, indices.size_bytes());
    last_indices_.assign(indices.begin(), indices.end());
  }
  return place;
}

void Context::run_recorded(std::span<const std::uintptr_t> key, const std::function<void()>& operations) {
  std::vector<std::uintptr_t> name(key.begin(), key.end());
  const auto found = recordings_.find(name);
  ++n_recorded_calls_;
  if (found == recordings_.end()) {
    operations();
    if (recordings_.size() >= kMaxRecordings) forget_old_recordings();
    recordings_[name] = {.last_use = n_recorded_calls_};
    return;
  }
  found->second.last_use = n_recorded_calls_;
  if (found->second.graph == nullptr) found->second.graph = record(operations);
  check(cudaGraphLaunch(found->second.graph, stream_), "replay of a graph");
}

cudaGraphExec_t Context::record(const std::function<void()>& operations) {
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording a graph");
  cudaGraph_t graph = nullptr;
  try {
    operations();
  } catch (...) {
    cudaStreamEndCapture(stream_, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream_, &graph), "recording a graph");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "making a graph");
  return executable;
}

void Context::forget_old_recordings() {
  std::vector<std::uint64_t> uses;
  for (const auto& [key, recording] : recordings_) uses.push_back(recording.last_use);
  const auto middle = uses.begin() + static_cast<std::ptrdiff_t>(uses.size() / 2);
  std::nth_element(uses.begin(), middle, uses.end());
  cudaStreamSynchronize(stream_);
  std::erase_if(recordings_, [&](const auto& entry) {
    if (entry.second.last_use >= *middle) return false;
    if (entry.second.graph != nullptr) cudaGraphExecDestroy(entry.second.graph);
    return true;
  });
}

void Context::forget_recordings() {
  if (recordings_.empty()) return;
  cudaStreamSynchronize(stream_);
  for (auto& [key, recording] : recordings_) {
    if (recording.graph != nullptr) cudaGraphExecDestroy(recording.graph);
  }
  recordings_.clear();
}

}  // namespace qasr::cuda
