// See qasr/quantize.h. Plan (what each tensor becomes), write (rows through all threads), re-read and compare, rename.
#include "qasr/quantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>

#include "base/mutex.h"
#include "base/thread_pool.h"
#include "qasr/error.h"
#include "tensor/affine_groups.h"
#include "tensor/widen.h"
#include "weights/checkpoint_files.h"
#include "weights/config_json.h"
#include "weights/json_reader.h"
#include "weights/model_config.h"
#include "weights/safetensors.h"
#include "weights/weight_files.h"
#include "weights/weight_store.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTaskElements = 1 << 18;  // of a matrix that a thread takes at a time: 1 MB as f32

// What one tensor becomes: a plain bf16 tensor, or three tensors of an MLX-quantised matrix.
struct Plan {
  const HostTensor* source = nullptr;
  int bits = 16;           // 16: bf16
  std::size_t output = 0;  // number of the first of its tensors in the file
  bool is_quantized() const { return bits < 16; }
};

bool is_encoder(std::string_view name) { return name.starts_with("audio_tower."); }

std::string class_of(const HostTensor& tensor) {
  const std::string& name = tensor.name;
  if (name.starts_with("model.embed_tokens")) return "embedding";
  if (name.starts_with("lm_head")) return "head";
  if (tensor.shape.rank() == 4) return "encoder convolutions";
  if (tensor.shape.rank() == 1) return "norms and biases";
  const std::string part = is_encoder(name) ? "encoder" : "decoder";
  if (name.find(".self_attn.") != std::string::npos) return part + " attention";
  if (name.find(".mlp.") != std::string::npos || name.find(".fc") != std::string::npos) return part + " feed-forward";
  return "encoder projections";
}

int bits_of(const HostTensor& tensor, const ModelConfig& config, const QuantizeOptions& options) {
  if (tensor.shape.rank() != 2 || tensor.shape[1] % options.group_size != 0) return 16;
  if (tensor.name == "lm_head.weight") return config.is_forced_aligner ? 16 : 8;  // a classifier's head stays exact
  if (tensor.name == "model.embed_tokens.weight") return 8;
  return is_encoder(tensor.name) ? options.encoder_bits : options.decoder_bits;
}

void check_options(const QuantizeOptions& options) {
  const auto require = [](bool holds, const char* what, int found, const char* expected) {
    if (holds) return;
    throw Error(ErrorCode::kInvalidArgument,
                std::string("quantize: ") + what + " " + std::to_string(found) + ", expected " + expected);
  };
  require(options.decoder_bits == 4 || options.decoder_bits == 8, "decoder bits", options.decoder_bits, "4 or 8");
  require(options.encoder_bits == 8 || options.encoder_bits == 16, "encoder bits", options.encoder_bits, "8 or 16");
  require(options.group_size == 32 || options.group_size == 64 || options.group_size == 128, "group size",
          options.group_size, "32, 64 or 128");
}

// The directory while it is being written; removed unless kept.
class PartialDirectory {
 public:
  explicit PartialDirectory(fs::path target) : target_(std::move(target)), path_(target_.string() + ".partial") {
    std::error_code error;
    if (fs::exists(target_, error) && !fs::is_empty(target_, error)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "quantize: " + target_.string() + " exists and is not an empty directory");
    }
    fs::remove_all(path_, error);
    if (!fs::create_directories(path_, error)) fail(error);
  }
  ~PartialDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  PartialDirectory(const PartialDirectory&) = delete;
  PartialDirectory& operator=(const PartialDirectory&) = delete;
  const fs::path& path() const { return path_; }
  void keep() {
    std::error_code error;
    fs::remove(target_, error);  // an empty directory
    fs::rename(path_, target_, error);
    if (error) fail(error);
    path_.clear();
  }

 private:
  [[noreturn]] void fail(const std::error_code& error) const {
    throw Error(ErrorCode::kModel, "quantize: cannot write " + target_.string() + ": " + error.message());
  }
  fs::path target_, path_;
};

void write_text(const fs::path& path, std::string_view text) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) throw Error(ErrorCode::kModel, "quantize: cannot write " + path.string());
}

// config.json in the official layout with what MLX readers look for: the common width and, per module, what differs.
std::string quantized_config(const CheckpointFiles& files, const ModelConfig& config, std::span<const Plan> plans,
                             const QuantizeOptions& options) {
  nlohmann::json json;
  if (config.layout == CheckpointLayout::kOfficial) {
    json = parse_json(files.require("config.json").text(), files.path_of("config.json"));
  } else {
    ModelConfig official = config;
    official.layout = CheckpointLayout::kOfficial;
    json = nlohmann::json::parse(config_json(official, DType::kBf16));
  }
  nlohmann::json settings = {{"group_size", options.group_size}, {"bits", options.decoder_bits}, {"mode", "affine"}};
  for (const Plan& plan : plans) {
    if (plan.source->shape.rank() != 2 || plan.bits == options.decoder_bits) continue;
    const std::string module = plan.source->name.substr(0, plan.source->name.rfind('.'));
    if (plan.is_quantized()) {
      settings[module] = {{"group_size", options.group_size}, {"bits", plan.bits}};
    } else {
      settings[module] = false;
    }
  }
  json["quantization"] = settings;
  json["quantization_config"] = settings;
  return json.dump(2) + "\n";
}

// Tensors of the file, as MLX names and orders them.
std::vector<HostTensor> planned_tensors(std::vector<Plan>& plans, const QuantizeOptions& options) {
  std::vector<HostTensor> tensors;
  for (Plan& plan : plans) {
    const HostTensor& source = *plan.source;
    const Shape& shape = source.shape;
    plan.output = tensors.size();
    if (!plan.is_quantized()) {
      const Shape stored = shape.rank() == 4 ? Shape({shape[0], shape[2], shape[3], shape[1]}) : shape;
      tensors.push_back({.name = source.name, .dtype = DType::kBf16, .shape = stored});
      continue;
    }
    const std::string stem = source.name.substr(0, source.name.rfind('.'));
    const Shape groups{shape[0], shape[1] / options.group_size};
    tensors.push_back({.name = source.name, .dtype = DType::kU32, .shape = {shape[0], shape[1] * plan.bits / 32}});
    tensors.push_back({.name = stem + ".scales", .dtype = DType::kBf16, .shape = groups});
    tensors.push_back({.name = stem + ".biases", .dtype = DType::kBf16, .shape = groups});
  }
  return tensors;
}

// Writes rows [begin, begin + count) of a matrix or vector; buffers are one thread's.
class RowWriter {
 public:
  RowWriter(SafetensorsWriter& file, const QuantizeOptions& options)
      : file_(file), group_size_(static_cast<std::size_t>(options.group_size)) {}

  void write(const Plan& plan, std::int64_t begin, std::int64_t count) {
    const HostTensor& source = *plan.source;
    const auto cols = static_cast<std::size_t>(source.shape.elements() / source.shape[0]);
    values_.resize(static_cast<std::size_t>(count) * cols);
    widen_to_f32(source, values_, begin * static_cast<std::int64_t>(cols));
    const auto first = static_cast<std::size_t>(begin);
    if (!plan.is_quantized()) return write_bf16(plan, first * cols, cols);
    const std::size_t row_bytes = packed_row_bytes(cols, plan.bits), groups = cols / group_size_;
    q_.resize(cols);
    packed_.assign(static_cast<std::size_t>(count) * row_bytes, std::byte{0});
    scales_.resize(static_cast<std::size_t>(count) * groups);
    biases_.resize(scales_.size());
    for (std::size_t row = 0; row < static_cast<std::size_t>(count); ++row) {
      for (std::size_t group = 0; group < groups; ++group) {
        const std::span<const float> w(&values_[row * cols + group * group_size_], group_size_);
        const AffineScale scale =
            quantize_affine(w, plan.bits, std::span(q_).subspan(group * group_size_, group_size_));
        scales_[row * groups + group] = to_bf16(scale.scale);
        biases_[row * groups + group] = to_bf16(scale.bias);
      }
      pack_bits(q_, plan.bits, &packed_[row * row_bytes]);
    }
    file_.write(plan.output, first * row_bytes, packed_);
    file_.write(plan.output + 1, first * groups * sizeof(bf16), std::as_bytes(std::span(scales_)));
    file_.write(plan.output + 2, first * groups * sizeof(bf16), std::as_bytes(std::span(biases_)));
  }

 private:
  void write_bf16(const Plan& plan, std::size_t begin, std::size_t cols) {
    const Shape& shape = plan.source->shape;
    const std::size_t taps = shape.rank() == 4 ? static_cast<std::size_t>(shape[2] * shape[3]) : 1,
                      inputs = cols / taps;
    scales_.resize(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {  // a kernel goes from [O, I, H, W] to [O, H, W, I]
      const std::size_t row = i / cols, tap = i % taps, input = i % cols / taps;
      scales_[taps == 1 ? i : row * cols + tap * inputs + input] = to_bf16(values_[i]);
    }
    file_.write(plan.output, begin * sizeof(bf16), std::as_bytes(std::span(scales_)));
  }

  SafetensorsWriter& file_;
  std::size_t group_size_;
  std::vector<float> values_;
  std::vector<std::uint8_t> q_;
  std::vector<std::byte> packed_;
  std::vector<bf16> scales_, biases_;
};

// Calls run(begin, count, worker) for runs of rows of the tensor. The first error of any thread is thrown here.
template <typename Run>
void for_rows(ThreadPool& pool, const HostTensor& tensor, const Run& run) {
  const std::int64_t rows = tensor.shape[0], cols = tensor.shape.elements() / std::max<std::int64_t>(1, rows);
  const std::int64_t step =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(kTaskElements) / std::max<std::int64_t>(1, cols));
  Mutex mutex;
  std::exception_ptr failure;
  pool.parallel_for(static_cast<std::size_t>((rows + step - 1) / step), [&](std::size_t task, int worker) {
    const std::int64_t begin = static_cast<std::int64_t>(task) * step;
    try {
      run(begin, std::min(step, rows - begin), static_cast<std::size_t>(worker));
    } catch (...) {
      const MutexLock lock(mutex);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

struct Difference {
  double difference = 0, norm = 0;
};

Difference compare(ThreadPool& pool, const HostTensor& source, const HostTensor& stored) {
  struct Thread {
    Difference sums;
    std::vector<float> a, b;
  };
  std::vector<Thread> threads(static_cast<std::size_t>(pool.n_threads()));
  const std::int64_t cols = source.shape.elements() / source.shape[0];
  for_rows(pool, source, [&](std::int64_t begin, std::int64_t count, std::size_t worker) {
    Thread& thread = threads[worker];
    thread.a.resize(static_cast<std::size_t>(count * cols));
    thread.b.resize(thread.a.size());
    widen_to_f32(source, thread.a, begin * cols);
    widen_to_f32(stored, thread.b, begin * cols);
    for (std::size_t i = 0; i < thread.a.size(); ++i) {
      const double a = thread.a[i], d = a - static_cast<double>(thread.b[i]);
      thread.sums.difference += d * d;
      thread.sums.norm += a * a;
    }
  });
  Difference total;
  for (const Thread& thread : threads) {
    total.difference += thread.sums.difference;
    total.norm += thread.sums.norm;
  }
  return total;
}

// A tensor's error beyond this means that it was not written as meant: ten times what rounding gives.
double error_limit(int bits) { return bits == 16 ? 0.01 : (bits == 8 ? 0.06 : 0.9); }

std::string stored_as(const Plan& plan, const QuantizeOptions& options) {
  if (!plan.is_quantized()) return "bf16";
  return std::to_string(plan.bits) + "-bit, groups of " + std::to_string(options.group_size);
}

QuantizeReport reread(ThreadPool& pool, const fs::path& directory, std::span<const Plan> plans,
                      const CheckpointFiles& source, const QuantizeOptions& options) {
  const CheckpointFiles files = CheckpointFiles::open(directory);
  const ModelConfig config = parse_model_config(files);
  const WeightStore store(files, config);
  QuantizeReport report;
  report.bytes = store.shard_bytes();
  std::vector<Difference> sums;
  for (const Plan& plan : plans) {
    const HostTensor& stored = store.tensor(plan.source->name);
    const Difference difference = compare(pool, *plan.source, stored);
    const double error =
        difference.norm > 0 ? std::sqrt(difference.difference / difference.norm) : std::sqrt(difference.difference);
    if (!(error <= error_limit(plan.bits))) {
      throw Error(ErrorCode::kModel, "quantize: tensor " + plan.source->name + " re-read from " + directory.string() +
                                         " differs from the original by " + std::to_string(error) +
                                         " of its norm, expected at most " + std::to_string(error_limit(plan.bits)) +
                                         ": values that are not finite, or a disk that lies");
    }
    const std::string name = class_of(*plan.source), text = stored_as(plan, options);
    auto entry = std::find_if(report.classes.begin(), report.classes.end(),
                              [&](const QuantizedClass& c) { return c.name == name && c.stored == text; });
    if (entry == report.classes.end()) {
      report.classes.push_back({.name = name, .stored = text});
      sums.emplace_back();
      entry = report.classes.end() - 1;
    }
    ++entry->n_tensors;
    entry->bytes += stored_bytes(stored);
    Difference& sum = sums[static_cast<std::size_t>(entry - report.classes.begin())];
    sum.difference += difference.difference;
    sum.norm += difference.norm;
    files.release(stored);
    source.release(*plan.source);
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    report.classes[i].relative_error = sums[i].norm > 0 ? std::sqrt(sums[i].difference / sums[i].norm) : 0;
  }
  return report;
}

// Everything that is no weights: configuration of generation and features, tokenizer, chat templates.
void copy_side_files(const CheckpointFiles& files, const fs::path& directory) {
  for (const CheckpointFile& file : files.all()) {
    const bool is_own = file.name == "config.json" || file.name.ends_with(".index.json");
    if (!is_own && weight_file_kind(file.bytes) == WeightFileKind::kNone)
      write_text(directory / file.name, file.text());
  }
  std::error_code ignored;
  const fs::path chat = fs::path(files.where()) / "chat_template.jinja";
  if (fs::is_regular_file(chat, ignored)) fs::copy_file(chat, directory / chat.filename(), ignored);
}

}  // namespace

QuantizeReport quantize_checkpoint(const fs::path& model, const fs::path& directory, const QuantizeOptions& options) {
  check_options(options);
  const CheckpointFiles files = CheckpointFiles::open(model);
  const ModelConfig config = parse_model_config(files);
  const WeightStore weights(files, config);
  PartialDirectory partial(directory);
  std::vector<Plan> plans;
  for (const HostTensor& tensor : weights.all()) plans.push_back({&tensor, bits_of(tensor, config, options)});
  copy_side_files(files, partial.path());
  const std::vector<HostTensor> tensors = planned_tensors(plans, options);
  write_text(partial.path() / "config.json", quantized_config(files, config, plans, options));

  ThreadPool pool(options.n_threads);
  SafetensorsWriter writer(partial.path() / "model.safetensors", tensors);
  std::vector<RowWriter> threads(static_cast<std::size_t>(pool.n_threads()), RowWriter(writer, options));
  std::size_t done = 0;
  for (const Plan& plan : plans) {
    for_rows(pool, *plan.source, [&](std::int64_t begin, std::int64_t count, std::size_t worker) {
      threads[worker].write(plan, begin, count);
    });
    files.release(*plan.source);
    if (++done % 100 == 0 && options.log) {
      options.log("quantizing: " + std::to_string(done) + " of " + std::to_string(plans.size()) + " tensors");
    }
  }
  writer.finish();
  if (options.log) options.log("reading back what was written");
  QuantizeReport report = reread(pool, partial.path(), plans, files, options);
  report.source_bytes = weights.shard_bytes();
  partial.keep();
  return report;
}

}  // namespace qasr
