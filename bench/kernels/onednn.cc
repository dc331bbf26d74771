// The same products by oneDNN, a library of kernels that comes within a few per cent of the machine's peaks: weights
// packed beforehand, as many threads, no instruction set beyond the backend's. "OneDnn/int8/rows:390/out:896/in:896".
//
// f32: f32 throughout. bf16: bf16 operands, f32 result. int8: unsigned by signed bytes, 32-bit result. A kind that
// oneDNN does not have on this machine is reported as an error.
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "setup.h"

namespace qasr::bench {
namespace {

using Type = dnnl::memory::data_type;
using Tag = dnnl::memory::format_tag;

struct Kind {
  const char* name;
  Type x, w, y;
};
constexpr Kind kKinds[] = {{"f32", Type::f32, Type::f32, Type::f32},
                           {"bf16", Type::bf16, Type::bf16, Type::f32},
                           {"int8", Type::u8, Type::s8, Type::s32}};

dnnl::engine& engine() {
  static dnnl::engine instance = [] {
    if (isa_name().rfind("avx2", 0) == 0) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
    omp_set_num_threads(pool().n_threads());
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return instance;
}

// A matrix [rows, cols] converted from f32 values into any type and layout.
dnnl::memory filled(dnnl::stream& stream, const dnnl::memory::desc& desc, std::int64_t rows, std::int64_t cols) {
  std::vector<float> source = values(rows * cols);
  for (float& v : source) v = (v + 0.5F) * 100;  // bytes of every size; oneDNN rounds
  dnnl::memory plain({{rows, cols}, Type::f32, Tag::ab}, engine(), source.data());
  dnnl::memory result(desc, engine());
  dnnl::reorder(plain, result).execute(stream, plain, result);
  stream.wait();
  return result;
}

void run_product(benchmark::State& state, ProductShape shape, Kind kind) try {
  dnnl::stream stream(engine());
  const dnnl::memory::desc x_desc({shape.rows, shape.in}, kind.x, Tag::ab);
  const dnnl::memory::desc w_desc({shape.in, shape.out}, kind.w, Tag::any);
  const dnnl::memory::desc y_desc({shape.rows, shape.out}, kind.y, Tag::ab);
  const dnnl::matmul::primitive_desc description({x_desc, w_desc, y_desc}, engine());
  const dnnl::memory x = filled(stream, x_desc, shape.rows, shape.in);
  const dnnl::memory w = filled(stream, description.weights_desc(), shape.in, shape.out);
  const dnnl::memory y(y_desc, engine());
  const dnnl::matmul product(description);
  const std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}};
  for (auto _ : state) {
    product.execute(stream, arguments);
    stream.wait();
  }
  report_flops(state, shape.multiply_adds());
  state.SetLabel(description.impl_info_str());
} catch (const dnnl::error& error) {
  state.SkipWithError(error.what());
}

const bool kRegistered = [] {
  std::vector<ProductShape> shapes = encoder_products();
  for (const ProductShape& shape : prefill_products()) shapes.push_back(shape);
  for (const Kind& kind : kKinds) {
    for (const ProductShape& shape : shapes) {
      benchmark::RegisterBenchmark((std::string("OneDnn/") + kind.name + "/" + shape.name()).c_str(), run_product,
                                   shape, kind)
          ->UseRealTime();
    }
  }
  return true;
}();

}  // namespace
}  // namespace qasr::bench
