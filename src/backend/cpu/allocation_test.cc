// Decode steps allocate nothing once warm: counts every operator new of the program, AlignedBuffer's included.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "backend/backend_test_util.h"

namespace {

std::atomic<long> n_allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) noexcept {
  n_allocations.fetch_add(1);
  void* memory = nullptr;
  return ::posix_memalign(&memory, std::max(alignment, sizeof(void*)), bytes) == 0 ? memory : nullptr;
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Never inlined: GCC would see free() of what operator new returned and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) { return or_throw(counted(bytes, 0)); }
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return or_throw(counted(bytes, 0)); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }

namespace qasr::test {
namespace {

class AllocationTest : public BackendTest {};
QASR_FOR_EVERY_ISA(AllocationTest);

void expect_no_allocations(Backend& backend, WeightFormat format) {
  constexpr std::int64_t kRows = 4, kHidden = 96, kFf = 200, kVocab = 1000;
  constexpr int kHeads = 4, kKvHeads = 2, kDim = 16;
  const auto matrix_in = [&](std::int64_t rows, std::int64_t in, WeightFormat stored) {
    const TestTensor w(random_floats(static_cast<std::size_t>(rows * in), 1), {rows, in}, DType::kBf16);
    return backend.make_linear({&w.tensor, 1}, {}, stored);
  };
  const auto matrix = [&](std::int64_t rows, std::int64_t in) { return matrix_in(rows, in, format); };
  const TestTensor gate(random_floats(kFf * kHidden, 2), {kFf, kHidden}),
      up(random_floats(kFf * kHidden, 3), {kFf, kHidden});
  const auto gate_up = backend.make_gate_up(gate.tensor, up.tensor, format);
  const auto qkv = matrix((kHeads + 2 * kKvHeads) * kDim, kHidden), out = matrix(kHidden, kHeads * kDim);
  const auto down = matrix(kHidden, kFf);
  const auto head = matrix_in(kVocab, kHidden, format == WeightFormat::kQ4 ? WeightFormat::kQ8 : format);
  const auto cache = backend.make_kv_cache({1, kKvHeads, kDim, 16, 40, DType::kBf16});
  const Input x(backend, random_floats(kRows * kHidden, 4), {kRows, kHidden}),
      norm(backend, Floats(kHidden, 1), {kHidden});
  const Input head_norm(backend, Floats(kDim, 1), {kDim}),
      table(backend, Floats(100 * kDim / 2, 0.6f), {100, kDim / 2});
  const Output normed(backend, {kRows, kHidden}), q(backend, {kRows, kHeads * kDim}),
      attended(backend, {kRows, kHeads * kDim}), ff(backend, {kRows, kFf}), logits(backend, {kRows, kVocab});
  std::vector<std::int32_t> row_begin = {0, 1, 2, 3, 4}, n_past(kRows, 0), ids(kRows);
  const std::vector<std::int32_t> pages[] = {{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9, 10, 11}};
  const std::vector<std::span<const std::int32_t>> page_spans(std::begin(pages), std::end(pages));
  long before = 0;
  constexpr int kWarmUp = 5, kSteps = 40;
  for (int step = 0; step < kSteps; ++step) {
    if (step == kWarmUp) before = n_allocations.load();
    const SequenceBatch batch{row_begin, n_past, page_spans};
    backend.embed(*head, ids, x);
    backend.rms_norm(x, norm, 1e-6f, normed);
    backend.qkv_norm_rope_append(normed, {qkv.get(), head_norm, head_norm, 1e-6f, table, table, 0}, batch, *cache, q);
    backend.attention_causal(q, kHeads, 0, batch, *cache, attended);
    backend.linear(attended, *out, x, {.accumulate = true});
    backend.rms_norm(x, norm, 1e-6f, normed);
    backend.gate_up_silu(normed, *gate_up, ff);
    backend.linear(ff, *down, x, {.accumulate = true});
    backend.argmax_logits(x, *head, logits, ids);
    for (std::int32_t& past : n_past) ++past;
  }
  EXPECT_GT(before, 0);
  EXPECT_EQ(n_allocations.load() - before, 0);
}

TEST_P(AllocationTest, RepeatedDecodeStepsAllocateNothing) {
  for (WeightFormat format : {WeightFormat::kF32, WeightFormat::kBf16, WeightFormat::kQ8, WeightFormat::kQ4}) {
    expect_no_allocations(*cpu_, format);
  }
}

}  // namespace
}  // namespace qasr::test
