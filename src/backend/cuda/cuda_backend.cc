// Memory, transfers and result queues of the GPU backend; weights are in weights.cc, operations in files of their own.
#include "backend/cuda/cuda_backend.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "backend/cuda/cuda_error.h"
#include "backend/op_checks.h"
#include "backend/registry.h"

namespace qasr::cuda {
namespace {

class CudaBuffer final : public Buffer {
 public:
  CudaBuffer(Context& context, std::size_t bytes) : Buffer(nullptr, bytes) {
    const Context::Use use(context);
    memory_ = DeviceMemory(bytes);
    data_ = memory_.data();
  }

 private:
  DeviceMemory memory_;  // cudaFree finds the GPU by the address
};

// Page-locked slots in a ring, each with the event behind its copy.
class CudaReadQueue final : public ReadQueue {
 public:
  explicit CudaReadQueue(Context& context) : context_(context) {}

  void push(ConstTensorView source) override {
    const Context::Use use(context_);
    if (size_ == slots_.size()) {
      std::rotate(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(first_), slots_.end());
      first_ = 0;
      slots_.emplace_back();
    }
    Slot& slot = slots_[(first_ + size_) % slots_.size()];
    if (slot.memory == nullptr || slot.memory->bytes() < source.bytes()) {
      slot.memory = std::make_unique<PinnedMemory>(std::max<std::size_t>(4096, std::bit_ceil(source.bytes())));
    }
    slot.bytes = source.bytes();
    check(cudaMemcpyAsync(slot.memory->data(), source.data, slot.bytes, cudaMemcpyDeviceToHost, context_.stream()),
          "copy from the GPU");
    slot.done.record(context_.stream());
    ++size_;
  }

  void pop(void* host) override {
    QASR_CHECK(size_ > 0);
    Slot& slot = slots_[first_];
    slot.done.wait();
    std::memcpy(host, slot.memory->data(), slot.bytes);
    first_ = (first_ + 1) % slots_.size();
    --size_;
  }

 private:
  struct Slot {
    std::unique_ptr<PinnedMemory> memory;
    std::size_t bytes = 0;
    Event done;
  };
  Context& context_;
  std::vector<Slot> slots_;
  std::size_t first_ = 0, size_ = 0;
};

std::int64_t cache_layer_elements(const KvCacheShape& s) {
  return std::int64_t{2} * s.n_pages * s.n_kv_heads * s.page_tokens * s.head_dim;
}

}  // namespace

CudaKvCache::CudaKvCache(const KvCacheShape& shape)
    : KvCache(shape),
      layer_elements_(cache_layer_elements(shape)),
      memory_(static_cast<std::size_t>(layer_elements_ * shape.n_layers) * dtype_bytes(shape.dtype)),
      scales_(holds_fp8() ? static_cast<std::size_t>(layer_elements_ * shape.n_layers / shape.head_dim) * sizeof(float)
                          : 0) {}

PagedLayout CudaKvCache::layout() const {
  return {shape().n_kv_heads, std::countr_zero(static_cast<unsigned>(shape().page_tokens)), shape().head_dim};
}

void CudaKvCache::copy_page(std::int32_t from, std::int32_t to, cudaStream_t stream) {
  const std::int64_t page_elements = layer_elements_ / shape().n_pages;
  const auto copy_rows = [&](const DeviceMemory& memory, std::size_t page_bytes) {  // a layer is a row
    const auto pitch = page_bytes * static_cast<std::size_t>(shape().n_pages);
    check(cudaMemcpy2DAsync(memory.as<std::byte>() + page_bytes * static_cast<std::size_t>(to), pitch,
                            memory.as<std::byte>() + page_bytes * static_cast<std::size_t>(from), pitch, page_bytes,
                            static_cast<std::size_t>(shape().n_layers), cudaMemcpyDeviceToDevice, stream),
          "copy of a cache page");
  };
  copy_rows(memory_, static_cast<std::size_t>(page_elements) * dtype_bytes(shape().dtype));
  if (holds_fp8()) copy_rows(scales_, static_cast<std::size_t>(page_elements / shape().head_dim) * sizeof(float));
}

std::string CudaBackend::description() const {
  return "cuda (" + context_.name() + ", " + std::to_string(context_.memory_bytes() >> 20) + " MiB)";
}

std::unique_ptr<Buffer> CudaBackend::allocate(std::size_t bytes) {
  return std::make_unique<CudaBuffer>(context_, bytes);
}

void CudaBackend::upload(const void* host, TensorView destination) {
  const Context::Use use(context_);
  context_.upload_aside(host, destination.data, destination.bytes());
}

void CudaBackend::download(ConstTensorView source, void* host) {
  if (source.bytes() == 0) return;
  const Context::Use use(context_);
  check(cudaMemcpyAsync(host, source.data, source.bytes(), cudaMemcpyDeviceToHost, context_.stream()),
        "copy from the GPU");
  context_.synchronize();
}

std::unique_ptr<KvCache> CudaBackend::make_kv_cache(const KvCacheShape& shape) {
  if (shape.dtype != DType::kBf16 && shape.dtype != DType::kF8E4M3) {
    throw Error(ErrorCode::kInvalidArgument,
                "cuda: the KV cache is " + std::string(dtype_name(shape.dtype)) + ", expected bf16 or f8e4m3");
  }
  if (shape.head_dim != 64 && shape.head_dim != 128) {
    throw Error(ErrorCode::kModel, "cuda: head_dim is " + std::to_string(shape.head_dim) + ", expected 64 or 128");
  }
  QASR_CHECK(shape.page_tokens >= 64 && std::has_single_bit(static_cast<unsigned>(shape.page_tokens)));
  const Context::Use use(context_);
  return std::make_unique<CudaKvCache>(shape);
}

std::uint64_t CudaBackend::available_bytes() const {
  std::size_t free = 0, total = 0;
  check(cudaSetDevice(context_.device()), "choosing the GPU");
  check(cudaMemGetInfo(&free, &total), "free GPU memory");
  return free;
}

// An error that stays with the device comes back from every call, this one too.
bool CudaBackend::is_lost() {
  const bool fails =
      cudaSetDevice(context_.device()) != cudaSuccess || cudaStreamSynchronize(context_.stream()) != cudaSuccess;
  cudaGetLastError();
  return fails;
}

void CudaBackend::copy_kv_page(KvCache& cache, std::int32_t from, std::int32_t to) {
  const std::int32_t pages[] = {from, to};
  check_indices(pages, cache.shape().n_pages);
  const Context::Use use(context_);
  if (from != to) static_cast<CudaKvCache&>(cache).copy_page(from, to, context_.stream());
}

void CudaBackend::run_recorded(std::span<const std::uintptr_t> key, const std::function<void()>& operations) {
  const Context::Use use(context_);
  context_.run_recorded(key, operations);
}

std::unique_ptr<ReadQueue> CudaBackend::make_read_queue() { return std::make_unique<CudaReadQueue>(context_); }

}  // namespace qasr::cuda

namespace qasr {

std::unique_ptr<Backend> make_cuda_backend(int device) {
  const std::string problem = cuda_problem();
  if (!problem.empty()) throw Error(ErrorCode::kDevice, problem);
  int n_devices = 0;
  cuda::check(cudaGetDeviceCount(&n_devices), "counting GPUs");
  if (device < 0 || device >= n_devices) {
    throw Error(ErrorCode::kDevice,
                "cuda: there is no GPU " + std::to_string(device) + ", this machine has " + std::to_string(n_devices));
  }
  return std::make_unique<cuda::CudaBackend>(device);
}

bool built_with_cuda() { return true; }

int n_cuda_devices() {
  int n_devices = 0;
  return cudaGetDeviceCount(&n_devices) == cudaSuccess ? n_devices : 0;
}

std::string cuda_problem() {
  int n_devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&n_devices);
  if (status == cudaErrorInsufficientDriver) return "cuda: no GPU driver, or one older than this program needs";
  if (status != cudaSuccess) return std::string("cuda: no usable GPU: ") + cudaGetErrorString(status);
  return n_devices == 0 ? "cuda: this machine has no GPU" : "";
}

}  // namespace qasr
