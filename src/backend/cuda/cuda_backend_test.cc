// The GPU backend against the reference backend: products, norms, moves, convolutions, argmax, queues, recordings.
#include "backend/choose_ids_test_util.h"
#include "backend/cuda/cuda_test_util.h"

namespace qasr::test {
namespace {

// f32 sums of up to 4,320 products in other orders, and fast reciprocals and exponentials.
constexpr float kSumTol = 1e-4f;

struct Case {
  std::int64_t rows, out, in;
  std::string name() const { return Shape({rows, out, in}).to_string(); }
};

// Rows on both sides of the skinny kernels' limit, 4; sizes with and without full steps of 256; shapes of the models.
std::vector<Case> cases() {
  std::vector<Case> list;
  for (std::int64_t rows : {1, 2, 3, 5, 8, 9, 16, 33, 255}) {
    list.insert(list.end(), {{rows, 8, 8}, {rows, 40, 264}, {rows, 256, 96}, {rows, 896, 896}});
  }
  list.insert(list.end(), {{1, 4096, 1024}, {4, 1024, 3072}, {8, 2048, 2048}, {100, 1024, 7680}, {7, 8504, 64}});
  return list;
}

float weight_scale(std::int64_t in) { return std::sqrt(3.0f / static_cast<float>(in)); }

TEST_F(CudaTest, LinearAgreesWithReference) {
  for (const Case& c : cases()) {
    const Floats x = bf16_floats(static_cast<std::size_t>(c.rows * c.in), 1);
    const Floats residual = random_floats(static_cast<std::size_t>(c.rows * c.out), 4);
    const TestTensor w(bf16_floats(static_cast<std::size_t>(c.out * c.in), 2, weight_scale(c.in)), {c.out, c.in},
                       DType::kBf16);
    const TestTensor b(bf16_floats(static_cast<std::size_t>(c.out), 3), {c.out}, DType::kBf16);
    for (bool bias : {false, true}) {
      const std::span<const HostTensor> biases(&b.tensor, bias ? 1 : 0);
      const auto gpu_w = cuda_->make_linear({&w.tensor, 1}, biases, WeightFormat::kAuto);
      const auto ref_w = reference_->make_linear({&w.tensor, 1}, biases, WeightFormat::kBf16);
      for (Activation activation : {Activation::kNone, Activation::kGelu}) {
        const std::string what = c.name() + (bias ? " bias" : "") + (activation == Activation::kGelu ? " gelu" : "");
        const ActInput gpu_x(*cuda_, x, {c.rows, c.in}), ref_x(*reference_, x, {c.rows, c.in});
        const ActOutput gpu_y(*cuda_, {c.rows, c.out}), ref_y(*reference_, {c.rows, c.out});
        cuda_->linear(gpu_x, *gpu_w, gpu_y, {activation});
        reference_->linear(ref_x, *ref_w, ref_y, {activation});
        expect_close_bf16(gpu_y.read(), ref_y.read(), 4e-3f, what);  // GELU and bias act on a rounded value of about 1
        for (bool accumulate : {false, true}) {
          const Output gpu_f32(*cuda_, {c.rows, c.out}, accumulate ? &residual : nullptr);
          const Output ref_f32(*reference_, {c.rows, c.out}, accumulate ? &residual : nullptr);
          cuda_->linear(gpu_x, *gpu_w, gpu_f32, {activation, accumulate});
          reference_->linear(ref_x, *ref_w, ref_f32, {activation, accumulate});
          expect_close(gpu_f32.read(), ref_f32.read(), kSumTol, what + (accumulate ? " accumulate" : " f32"));
        }
      }
    }
  }
}

TEST_F(CudaTest, StackedMatricesAreOneProduct) {
  const std::int64_t in = 72, rows = 3;
  const TestTensor a(bf16_floats(16 * 72, 1), {16, in}), b(bf16_floats(40 * 72, 2), {40, in});
  const TestTensor ba(bf16_floats(16, 3), {16}), bb(bf16_floats(40, 4), {40});
  const HostTensor matrices[] = {a.tensor, b.tensor}, biases[] = {ba.tensor, bb.tensor};
  const Floats x = bf16_floats(static_cast<std::size_t>(rows * in), 5);
  const auto run = [&](Backend& backend, WeightFormat format) {
    const auto w = backend.make_linear(matrices, biases, format);
    const ActInput input(backend, x, {rows, in});
    const Output y(backend, {rows, 56});
    backend.linear(input, *w, y, {});
    return y.read();
  };
  expect_close(run(*cuda_, WeightFormat::kBf16), run(*reference_, WeightFormat::kBf16), kSumTol * 8, "stacked");
}

TEST_F(CudaTest, GateUpAgreesWithReference) {
  for (const Case& c : cases()) {
    const Floats x = bf16_floats(static_cast<std::size_t>(c.rows * c.in), 1, 2.0f);
    const auto n = static_cast<std::size_t>(c.out * c.in);
    const TestTensor gate(bf16_floats(n, 2, 2 * weight_scale(c.in)), {c.out, c.in}, DType::kBf16);
    const TestTensor up(bf16_floats(n, 3, weight_scale(c.in)), {c.out, c.in}, DType::kBf16);
    const auto run = [&](Backend& backend, WeightFormat format) {
      const auto w = backend.make_gate_up(gate.tensor, up.tensor, format);
      const ActInput input(backend, x, {c.rows, c.in});
      const ActOutput y(backend, {c.rows, c.out});
      backend.gate_up_silu(input, *w, y);
      return y.read();
    };
    // Many rows: gate and up are rounded to bf16 before they are multiplied; both reach 8.
    expect_close_bf16(run(*cuda_, WeightFormat::kAuto), run(*reference_, WeightFormat::kBf16), 6e-2f, c.name());
  }
}

TEST_F(CudaTest, ArgmaxAgreesWithReferenceAndTakesTheFirst) {
  for (const Case& c : {Case{1, 8, 8}, {3, 1536, 256}, {40, 264, 32}, {20, 4104, 64}}) {
    const Floats x = bf16_floats(static_cast<std::size_t>(c.rows * c.in), 1);
    const TestTensor head(bf16_floats(static_cast<std::size_t>(c.out * c.in), 2), {c.out, c.in}, DType::kBf16);
    const auto run = [&](Backend& backend, WeightFormat format) {
      const auto w = backend.make_linear({&head.tensor, 1}, {}, format);
      const ActInput input(backend, x, {c.rows, c.in});
      const Output logits(backend, {c.rows, c.out});
      std::vector<std::int32_t> ids(static_cast<std::size_t>(c.rows), -7);
      backend.argmax_logits(input, *w, logits, ids);
      return ids;
    };
    EXPECT_EQ(run(*cuda_, WeightFormat::kAuto), run(*reference_, WeightFormat::kBf16)) << c.name();
  }
}

TEST_F(CudaTest, ArgmaxPassesOverNaN) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr std::int64_t kVocab = 1000;
  const auto argmax = [&](const Floats& logits) {  // the first of eight inputs is 1, its weights are the logits
    Floats weights(kVocab * 8, 0.0f);
    for (std::size_t id = 0; id < kVocab; ++id) weights[id * 8] = logits[id];
    const TestTensor head(weights, {kVocab, 8});
    const auto w = cuda_->make_linear({&head.tensor, 1}, {}, WeightFormat::kAuto);
    const ActInput x(*cuda_, {1, 0, 0, 0, 0, 0, 0, 0}, {1, 8});
    const Output scratch(*cuda_, {1, kVocab});
    std::int32_t id = -7;
    cuda_->argmax_logits(x, *w, scratch, {&id, 1});
    return id;
  };
  Floats logits(kVocab, -2.0f);
  EXPECT_EQ(argmax(logits), 0);
  for (std::size_t first : {0u, 1u, 31u, 500u, 998u}) {
    Floats ties = logits;
    ties[first] = ties[first + 1] = ties[kVocab - 1] = -1.0f;
    EXPECT_EQ(argmax(ties), static_cast<std::int32_t>(first));
    ties[first] = kNaN;
    EXPECT_EQ(argmax(ties), static_cast<std::int32_t>(first) + 1);
  }
  EXPECT_EQ(argmax(Floats(kVocab, kNaN)), 0);
}

TEST_F(CudaTest, NormsAgreeWithReference) {
  for (std::int64_t dim : {8, 64, 96, 264, 896, 1024, 2048}) {
    for (std::int64_t rows : {1, 3, 70}) {
      Floats x = random_floats(static_cast<std::size_t>(rows * dim), static_cast<std::uint32_t>(dim));
      for (std::size_t i = 0; i < x.size(); i += 64) x[i] *= 40;  // outlier channels, as real activations have
      const Floats weight = random_floats(static_cast<std::size_t>(dim), 5), bias = random_floats(weight.size(), 6);
      for (bool layer_norm : {false, true}) {
        const auto run = [&](Backend& backend, auto& y, bool in_place) {
          const Input input(backend, x, {rows, dim}), w(backend, weight, {dim}), b(backend, bias, {dim});
          const ConstTensorView from = in_place ? ConstTensorView(y) : ConstTensorView(input);
          if (layer_norm) {
            backend.layer_norm(from, w, b, 1e-5f, y);
          } else {
            backend.rms_norm(from, w, 1e-6f, y);
          }
          return y.read();
        };
        const std::string what = (layer_norm ? "layer norm " : "rms norm ") + Shape({rows, dim}).to_string();
        const Output ref(*reference_, {rows, dim}), gpu_f32(*cuda_, {rows, dim}), in_place(*cuda_, {rows, dim}, &x);
        const ActOutput gpu(*cuda_, {rows, dim});
        const Floats expected = run(*reference_, ref, false);
        expect_close(run(*cuda_, gpu_f32, false), expected, 2e-5f, what);
        expect_close(run(*cuda_, in_place, true), expected, 2e-5f, what + " in place");
        expect_close_bf16(run(*cuda_, gpu, false), expected, 1e-5f, what + " bf16");
      }
    }
  }
}

TEST_F(CudaTest, RowMovesAreExact) {
  const std::vector<std::int32_t> x_rows = {4, 0, 4, 2}, table_rows = {1, 2, 0, 0};
  for (std::int64_t dim : {8, 264, 1024}) {
    const Floats act = bf16_floats(static_cast<std::size_t>(5 * dim), 1);
    const Floats table = random_floats(static_cast<std::size_t>(3 * dim), 2);
    const TestTensor vocabulary(bf16_floats(static_cast<std::size_t>(104 * dim), 3), {104, dim}, DType::kBf16);
    const auto run = [&](Backend& backend) {
      const ActInput in(backend, act, {5, dim});
      const Input in_f32(backend, act, {5, dim}), positions(backend, table, {3, dim});
      const Output sum(backend, {4, dim}), gathered(backend, {4, dim}), scattered(backend, {5, dim}, &act);
      const Output embedded(backend, {4, dim}), embedded_ids(backend, {4, dim});
      backend.gather_rows_add(in, x_rows, positions, table_rows, sum);
      backend.gather_rows(in_f32, x_rows, gathered);
      backend.scatter_rows(positions, std::vector<std::int32_t>{3, 0, 4}, scattered);
      const auto w = backend.make_linear({&vocabulary.tensor, 1}, {}, WeightFormat::kBf16);
      const std::vector<std::int32_t> ids = {103, 0, 7, 7};
      backend.embed(*w, ids, embedded);
      const auto buffer = backend.allocate(16);
      const TensorView on_backend(buffer->data(), DType::kI32, {4});
      backend.upload(ids.data(), on_backend);
      backend.embed_ids(*w, on_backend, embedded_ids);
      Floats all = sum.read();
      for (const Output* output : {&gathered, &scattered, &embedded, &embedded_ids}) {
        const Floats more = output->read();
        all.insert(all.end(), more.begin(), more.end());
      }
      return all;
    };
    expect_same(run(*cuda_), run(*reference_), "dim " + std::to_string(dim));
  }
}

TEST_F(CudaTest, ConvStemAgreesWithReference) {
  struct Conv {
    std::int64_t channels, n_chunks, height, width;
  };
  for (const Conv& c : {Conv{8, 2, 128, 100}, {16, 3, 80, 33}, {96, 2, 16, 20}, {8, 1, 1, 1}, {24, 5, 9, 2}}) {
    const auto n = static_cast<std::size_t>(c.channels);
    const float scale = 1.5f * std::sqrt(3.0f / (9.0f * static_cast<float>(c.channels)));
    const TestTensor w1(bf16_floats(n * 9, 1), {c.channels, 1, 3, 3});
    const TestTensor w2(bf16_floats(n * n * 9, 2, scale), {c.channels, c.channels, 3, 3});
    const TestTensor w3(bf16_floats(n * n * 9, 3, scale), {c.channels, c.channels, 3, 3});
    const TestTensor b1(random_floats(n, 4), {c.channels}), b2(random_floats(n, 5), {c.channels}),
        b3(random_floats(n, 6), {c.channels});
    const HostTensor weights[] = {w1.tensor, w2.tensor, w3.tensor}, biases[] = {b1.tensor, b2.tensor, b3.tensor};
    const Floats x = random_floats(static_cast<std::size_t>(c.n_chunks * c.height * c.width), 9);
    const auto run = [&](Backend& backend) {
      const auto stem = backend.make_conv_stem(weights, biases, WeightFormat::kBf16);
      const Input input(backend, x, {c.n_chunks, c.height, c.width});
      const ActOutput y(backend, {c.n_chunks * conv_out_length(c.width, 3), c.channels * conv_out_length(c.height, 3)});
      backend.conv_stem(input, *stem, y);
      return y.read();
    };
    // Two planes in between are rounded to bf16: each sum of 9 * channels products is off by a few parts in a thousand.
    expect_close_bf16(run(*cuda_), run(*reference_), 2e-2f,
                      Shape({c.channels, c.n_chunks, c.height, c.width}).to_string());
  }
}

TEST_F(CudaTest, LogProbsAgreeWithReference) {
  for (std::int64_t vocab : {1, 7, 1000, 1025, 151936}) {
    const std::int64_t rows = 3;
    Floats logits = random_floats(static_cast<std::size_t>(rows * vocab), 1, 30.0f);
    std::vector<std::int32_t> ids = {0, static_cast<std::int32_t>(vocab / 2), static_cast<std::int32_t>(vocab - 1)};
    if (vocab > 100) logits[50] = -std::numeric_limits<float>::infinity();
    const auto run = [&](Backend& backend) {
      const Input input(backend, logits, {rows, vocab});
      const auto buffer = backend.allocate(12);
      const TensorView on_backend(buffer->data(), DType::kI32, {rows});
      backend.upload(ids.data(), on_backend);
      const Output log_probs(backend, {rows});
      backend.pick_log_probs(input, on_backend, log_probs);
      return log_probs.read();
    };
    expect_close(run(*cuda_), run(*reference_), 2e-5f, "vocabulary of " + std::to_string(vocab));
  }
}

// Probabilities are f32 sums of the same logits: a draw at the border of two tokens may be the other one.
TEST_F(CudaTest, ChosenIdsAreThoseOfTheDefinition) {
  for (const LogitKind kind : {LogitKind::kSharp, LogitKind::kFlat, LogitKind::kEqual}) {
    for (const std::size_t vocab : {1, 7, 1000, 1024, 1025, 9000}) check_choices(*cuda_, kind, vocab, 20, 1e-6);
    check_choices(*cuda_, kind, 151936, 4, 1e-6);
  }
}

TEST_F(CudaTest, ChoosesNothingThatIsNoNumber) {
  Floats logits(1000, std::numeric_limits<float>::quiet_NaN());
  logits[700] = 1;
  const std::vector<RowChoice> choices = {{.options = {.temperature = 1, .top_k = 3, .top_p = 0.5}}};
  const std::vector<std::int32_t> table = make_choice_table(choices, 2);
  const auto memory = cuda_->allocate(table.size() * 4), id = cuda_->allocate(4);
  const TensorView on_gpu(memory->data(), DType::kI32, {static_cast<std::int64_t>(table.size())});
  const TensorView id_view(id->data(), DType::kI32, {1});
  cuda_->upload(table.data(), on_gpu);
  const auto choose = [&] {
    cuda_->choose_ids(Input(*cuda_, logits, {1, 1000}), on_gpu, id_view);
    std::int32_t found = -1;
    cuda_->download(id_view, &found);
    return found;
  };
  EXPECT_EQ(choose(), 700);
  logits[700] = logits[0];
  EXPECT_EQ(choose(), 0);
}

TEST_F(CudaTest, KnowsItsMemory) {
  const std::uint64_t before = cuda_->available_bytes();
  const auto buffer = cuda_->allocate(std::size_t{256} << 20);
  EXPECT_LE(cuda_->available_bytes() + (std::uint64_t{200} << 20), before);
}

TEST_F(CudaTest, ReadQueueKeepsOrderAndContents) {
  const auto buffer = cuda_->allocate(64);
  const TensorView view(buffer->data(), DType::kI32, {3});
  const auto queue = cuda_->make_read_queue();
  for (std::int32_t value = 0; value < 20; ++value) {
    const std::int32_t values[] = {value, value + 100, -value};
    cuda_->upload(values, view);
    queue->push(view);
    if (value < 4) continue;  // five entries under way
    std::int32_t found[3];
    queue->pop(found);
    EXPECT_EQ(found[0], value - 4);
    EXPECT_EQ(found[1], value + 96);
    EXPECT_EQ(found[2], 4 - value);
  }
}

TEST_F(CudaTest, RecordedCallsReadTheContentsOfTheirTensors) {
  const std::int64_t dim = 64;
  const Output y(*cuda_, {1, dim});
  const auto input = cuda_->allocate(static_cast<std::size_t>(dim) * 4);
  const TensorView x(input->data(), DType::kF32, {1, dim});
  const Input weight(*cuda_, random_floats(static_cast<std::size_t>(dim), 1), {dim});
  const std::vector<std::uintptr_t> key = {1, 2};
  int n_calls = 0;
  for (std::uint32_t round = 0; round < 5; ++round) {
    const Floats values = random_floats(static_cast<std::size_t>(dim), round + 7);
    cuda_->upload(values.data(), x);
    cuda_->run_recorded(key, [&] {
      ++n_calls;
      cuda_->rms_norm(x, weight.view(), 1e-6f, y);
    });
    const Input again(*cuda_, values, {1, dim});
    const Output expected(*cuda_, {1, dim});
    cuda_->rms_norm(again, weight.view(), 1e-6f, expected);
    expect_same(y.read(), expected.read(), "round " + std::to_string(round));
  }
  EXPECT_EQ(n_calls, 2);  // once at once, once recorded
}

TEST_F(CudaTest, RefusesWhatItCannotHold) {
  const TestTensor odd(random_floats(36, 1), {4, 9}), even(random_floats(64, 1), {8, 8});
  EXPECT_THROW(cuda_->make_linear({&odd.tensor, 1}, {}, WeightFormat::kAuto), Error);
  EXPECT_THROW(cuda_->make_linear({&even.tensor, 1}, {}, WeightFormat::kF32), Error);
  EXPECT_THROW(cuda_->make_kv_cache({1, 2, 64, 64, 4, DType::kF32}), Error);
  EXPECT_THROW(cuda_->allocate(std::size_t{1} << 50), Error);
  EXPECT_NE(cuda_->allocate(1024), nullptr);  // and goes on
}

TEST(CudaRegistry, ThereIsNoSuchGpu) { EXPECT_THROW(make_cuda_backend(999), Error); }

TEST(CudaRegistry, AutoAlwaysFindsABackend) {
  EngineOptions options{.backend = BackendKind::kAuto};
  std::string log;
  options.log = [&](std::string_view line) { log += line; };
  const std::string found = make_backend(options)->description();
  EXPECT_EQ(found.starts_with("cuda"), log.empty()) << found << log;
  options.weights = WeightFormat::kF32;
  EXPECT_TRUE(make_backend(options)->description().starts_with("cpu"));
}

}  // namespace
}  // namespace qasr::test
