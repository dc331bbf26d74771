// What is particular to the CPU backend: choosing instruction sets, callers side by side, memory of weights.
#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "backend/backend_test_util.h"
#include "backend/cpu/product.h"

namespace qasr::test {
namespace {

TEST(CpuBackend, TakesTheBestInstructionSetAndSaysWhich) {
  const std::string best = cpu::supported_isas().back();
  EXPECT_EQ(make_cpu_backend(2, "")->description(), "cpu (" + best + ", 2 threads)");
  for (const std::string& isa : cpu::supported_isas()) {
    EXPECT_EQ(make_cpu_backend(1, isa)->description(), "cpu (" + isa + ", 1 thread)");
  }
}

TEST(CpuBackend, UnknownInstructionSetNamesTheKnownOnes) {
  try {
    make_cpu_backend(1, "sse9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    for (const char* name : {"sse9", "generic", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16",
                             "avx512-amx", "neon", "neon-dotprod", "neon-i8mm"}) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

TEST(CpuBackend, UnsupportedInstructionSetNamesTheSupportedOnes) {
  const std::vector<std::string> supported = cpu::supported_isas();
  int n_refused = 0;
  for (const std::string name : {"avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16", "avx512-amx", "neon",
                                 "neon-dotprod", "neon-i8mm"}) {
    if (std::find(supported.begin(), supported.end(), name) != supported.end()) continue;
    try {
      make_cpu_backend(1, name);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDevice);
      for (const std::string& other : supported) {
        EXPECT_NE(std::string(error.what()).find(other), std::string::npos) << error.what();
      }
      ++n_refused;
    }
  }
  EXPECT_GT(n_refused, 0);  // no machine has both avx2 and neon
}

TEST(CpuBackend, MakeBackendFollowsTheOptions) {
  EXPECT_EQ(make_backend({.backend = BackendKind::kReference})->description(), make_reference_backend()->description());
  EXPECT_EQ(make_backend({.n_threads = 1, .cpu_isa = "generic"})->description(), "cpu (generic, 1 thread)");
}

TEST(CpuBackend, RefusesFormatsOfGpus) {
  const auto backend = make_cpu_backend(1, "");
  const TestTensor w(random_floats(32 * 8, 1), {8, 32});
  const auto expect_refused = [](const auto& make) {
    try {
      make();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("for GPUs"), std::string::npos) << error.what();
    }
  };
  expect_refused([&] { backend->make_linear({&w.tensor, 1}, {}, WeightFormat::kFp8); });
  expect_refused([&] { backend->make_kv_cache({1, 1, 64, 64, 1, DType::kF8E4M3}); });
}

TEST(CpuBackend, AbsurdBufferIsOutOfMemory) {
  const auto backend = make_cpu_backend(1, "");
  try {
    backend->allocate(std::numeric_limits<std::size_t>::max() / 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
}

class CpuBackendTest : public BackendTest {};
QASR_FOR_EVERY_ISA(CpuBackendTest);

TEST_P(CpuBackendTest, CallersSideBySideGetTheSameBits) {
  const TestTensor w(random_floats(300 * 200, 1), {300, 200});
  const auto weight = cpu_->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
  const Floats x = random_floats(50 * 200, 2);
  const auto run = [&](std::int64_t rows) {
    const Input input(*cpu_, rows_of(x, 200, 0, rows), {rows, 200});
    const Output y(*cpu_, {rows, 300});
    cpu_->linear(input, *weight, y, {Activation::kGelu});
    return y.read();
  };
  const Floats expected = run(50);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (std::int64_t i = 0; i < 25; ++i) {
        const std::int64_t rows = 1 + (i * 7 + caller) % 50;
        expect_same(run(rows), rows_of(expected, 300, 0, rows), "concurrent");
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST_P(CpuBackendTest, ThreadsDoNotChangeBits) {
  const TestTensor w(random_floats(500 * 100, 1), {500, 100});
  const Floats x = random_floats(200 * 100, 2);
  Floats first;
  for (int n_threads : {1, 2, 7}) {
    const auto backend = make_cpu_backend(n_threads, GetParam());
    const auto weight = backend->make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
    const Input input(*backend, x, {200, 100});
    const Output y(*backend, {200, 500});
    backend->linear(input, *weight, y, {});
    if (first.empty()) first = y.read();
    expect_same(y.read(), first, std::to_string(n_threads) + " threads");
  }
}

TEST(WeightMemory, PartsShareBlocksAndOutliveIt) {
  constexpr std::size_t kSmall = 1000, kLarge = std::size_t{40} << 20;  // more than a block
  std::vector<cpu::WeightMemory::Part> parts;
  {
    cpu::WeightMemory memory;
    for (const std::size_t bytes : {kSmall, kSmall, kLarge, kSmall}) {
      parts.push_back(memory.take(bytes));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(parts.back().data) % AlignedBuffer::kAlignment, 0u);
      std::memset(parts.back().data, static_cast<int>(parts.size()), bytes);
    }
  }
  EXPECT_EQ(parts[0].block, parts[1].block);
  EXPECT_NE(parts[0].block, parts[2].block);
  EXPECT_EQ(parts[0].block, parts[3].block);  // a large part does not end a block that has room
  for (std::size_t part = 0; part < parts.size(); ++part) {
    EXPECT_EQ(static_cast<std::size_t>(parts[part].data[0]), part + 1);
    EXPECT_EQ(static_cast<std::size_t>(parts[part].data[kSmall - 1]), part + 1);
  }
}

// Every tile once; a group's row blocks and no others between its begin and its end.
TEST(ProductPlan, TasksAreTilesInGroupsOfRowBlocks) {
  for (const std::size_t n_row_blocks : {1, 2, 4, 7, 13, 90}) {
    for (const std::size_t n_panel_blocks : {1, 3, 32}) {
      for (const std::size_t n_row_groups : {1, 2, 3, 8}) {
        if (n_row_groups > n_row_blocks) continue;
        cpu::ProductPlan plan;
        plan.n_row_blocks = n_row_blocks;
        plan.n_panel_blocks = n_panel_blocks;
        plan.n_row_groups = n_row_groups;
        std::vector<int> runs(n_row_blocks * n_panel_blocks, 0);
        for (std::size_t group = 0; group < n_row_groups; ++group) {
          const std::size_t begin = plan.group_begin(group), end = plan.group_begin(group + 1);
          for (std::size_t index = begin * n_panel_blocks; index < end * n_panel_blocks; ++index) {
            const auto [row_block, panel_block] = plan.task(index);
            ASSERT_TRUE(row_block >= begin && row_block < end && panel_block < n_panel_blocks) << index;
            ++runs[row_block * n_panel_blocks + panel_block];
          }
        }
        EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), static_cast<std::ptrdiff_t>(runs.size()));
      }
    }
  }
}

}  // namespace
}  // namespace qasr::test
