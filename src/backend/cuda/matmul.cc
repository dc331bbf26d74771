#include "backend/cuda/matmul.h"

#include <memory>
#include <string>

#include "backend/cuda/cublaslt.h"

namespace qasr::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what cuBLAS recommends for Hopper
constexpr std::size_t kMaxPlans = 4096;                         // prefills come with any number of rows

struct Layout {
  Layout(cudaDataType_t type, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    check(cublaslt().layout_create(&handle, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols),
                                   stride),
          "matrix layout");
  }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  ~Layout() { cublaslt().layout_destroy(handle); }
  cublasLtMatrixLayout_t handle = nullptr;
};

struct Description {
  Description() {
    check(cublaslt().matmul_desc_create(&handle, CUBLAS_COMPUTE_32F, CUDA_R_32F), "matrix product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;
  ~Description() { cublaslt().matmul_desc_destroy(handle); }
  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check(cublaslt().matmul_desc_set(handle, attribute, &value, sizeof value), "matrix product");
  }
  void set_scale_mode(int attribute, std::int32_t mode) {
    set(static_cast<cublasLtMatmulDescAttributes_t>(attribute), mode);
  }
  cublasLtMatmulDesc_t handle = nullptr;
};

// CUBLASLT_MATMUL_DESC_A_SCALE_MODE, _B_SCALE_MODE and CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F by number: headers
// before CUDA 12.9 lack them.
constexpr int kScaleModeOfA = 31, kScaleModeOfB = 32;
constexpr std::int32_t kScalePerRow = 3;
constexpr int kFirstVersionWithScales = 120900;

cudaDataType_t input_type(const Product& p) { return p.x_scales == nullptr ? CUDA_R_16BF : CUDA_R_8F_E4M3; }
// Products of codes take no f32 bias.
cudaDataType_t bias_type(const Product& p) { return p.f32_output && p.x_scales == nullptr ? CUDA_R_32F : CUDA_R_16BF; }
std::int64_t stride_of(const Product& p) { return p.y_stride == 0 ? p.out : p.y_stride; }

}  // namespace

// cuBLASLt is column-major: its A is w^T (stored as in x out, transposed back), its B is x^T, its D is y^T.
struct Matmul::Plan {
  explicit Plan(const Product& p)
      : a(input_type(p), p.in, p.out, p.in),
        b(input_type(p), p.in, p.rows, p.in),
        d(p.f32_output ? CUDA_R_32F : CUDA_R_16BF, p.out, p.rows, stride_of(p)) {
    if (p.x_scales == nullptr) return;
    description.set_scale_mode(kScaleModeOfA, kScalePerRow);
    description.set_scale_mode(kScaleModeOfB, kScalePerRow);
    set_scales(p);
  }
  void set_scales(const Product& p) {
    description.set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, static_cast<const void*>(p.w_scales));
    description.set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, static_cast<const void*>(p.x_scales));
  }
  void set_bias(const Product& p) {
    const void* bias = bias_type(p) == CUDA_R_32F ? static_cast<const void*>(p.bias) : p.bias_bf16;
    description.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  Description description;
  Layout a, b, d;
  cublasLtMatmulAlgo_t algorithm{};
  bool fused_bias = false;
};

Matmul::Matmul(Context& context) : context_(context) {
  check(cublaslt().create(&handle_), "cuBLASLt");
  context_.scratch(Scratch::kWorkspace, kWorkspaceBytes);
  has_fp8_ = context_.compute_capability() == 90 && cublaslt().version() >= kFirstVersionWithScales;
}

std::size_t Matmul::library_version() const { return cublaslt().version(); }

Matmul::~Matmul() { cublaslt().destroy(handle_); }

Matmul::Plan& Matmul::plan_of(const Product& p) {
  const Key key{p.rows, p.out, p.in, p.y_stride, p.f32_output, p.accumulate, p.bias != nullptr, p.x_scales != nullptr};
  const auto found = plans_.find(key);
  if (found != plans_.end()) return found->second;
  if (plans_.size() >= kMaxPlans) plans_.clear();

  Plan& plan = plans_.try_emplace(key, p).first->second;
  if (p.bias != nullptr) {
    plan.fused_bias = true;
    plan.description.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    plan.description.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_type(p));
    plan.set_bias(p);
    if (choose_algorithm(plan)) return plan;
    plan.fused_bias = false;
    plan.description.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  }
  if (!choose_algorithm(plan)) {
    plans_.erase(key);
    check(CUBLAS_STATUS_NOT_SUPPORTED, "choosing a matrix product");
  }
  return plan;
}

// The library's first choice; false if it has none.
bool Matmul::choose_algorithm(Plan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  check(cublaslt().preference_create(&preference), "matrix product");
  cublaslt().preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes,
                            sizeof kWorkspaceBytes);
  cublasLtMatmulHeuristicResult_t best{};
  int n_found = 0;
  const cublasStatus_t status = cublaslt().heuristic(handle_, plan.description.handle, plan.a.handle, plan.b.handle,
                                                     plan.d.handle, plan.d.handle, preference, 1, &best, &n_found);
  cublaslt().preference_destroy(preference);
  plan.algorithm = best.algo;
  return status == CUBLAS_STATUS_SUCCESS && n_found > 0;
}

bool Matmul::run(const Product& p) {
  Plan& plan = plan_of(p);
  if (plan.fused_bias) plan.set_bias(p);
  if (p.x_scales != nullptr) plan.set_scales(p);
  const float one = 1, beta = p.accumulate ? 1 : 0;
  void* workspace = context_.scratch(Scratch::kWorkspace, kWorkspaceBytes);
  check(cublaslt().matmul(handle_, plan.description.handle, &one, p.w, plan.a.handle, p.x, plan.b.handle, &beta, p.y,
                          plan.d.handle, p.y, plan.d.handle, &plan.algorithm, workspace, kWorkspaceBytes,
                          context_.stream()),
        "matrix product");
  return p.bias == nullptr || plan.fused_bias;
}

}  // namespace qasr::cuda
