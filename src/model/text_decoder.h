// Text decoder: a dense Qwen3 over prompt and audio embeddings. Hops 8 and 9 of the walk.
//
//   x = embedding of the ids; rows of the audio placeholder are replaced by the encoder's output
//   per layer: x += o_proj(attention(RoPE(norm(q)), RoPE(norm(k)), v));  x += down_proj(silu(gate) * up)
//   logits = head(RMSNorm(x of the last row)), head tied to the embedding
//
// Sequences of different lengths share a call; a sequence's result does not depend on the others.
// Source: Qwen3ForCausalLM and Qwen3ASRForConditionalGeneration in Hugging Face transformers 5.17.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/device_tensor.h"
#include "model/kv_cache.h"
#include "model/weight_packer.h"
#include "weights/model_config.h"

namespace qasr {

/// Activations of one caller, reused from call to call. f32, or where it says act, the backend's activation type.
struct DecoderWorkspace {
  DeviceTensor x;                   // [rows, hidden]
  DeviceTensor normed;              // [rows, hidden] act
  DeviceTensor q, attention;        // [rows, n_heads * head_dim] act
  DeviceTensor ff;                  // [rows, d_ff] act
  DeviceTensor wanted;              // [wanted rows, hidden]: their output, unless all rows of x are wanted
  DeviceTensor last;                // [n_sequences, hidden]
  DeviceTensor logits;              // [n_sequences, n_logits]
  DeviceTensor next_ids;            // [n_sequences] i32
  DeviceTensor log_probs;           // [n_sequences], of next_ids; only with want_log_probs
  DeviceTensor choices;             // make_choice_table() of the steps under way; only with has_choices
  DeviceTensor tables;              // SequenceBatch::tables
  DeviceTensor wanted_tables;       // the same of the wanted rows
  DeviceTensor rope_cos, rope_sin;  // [n_positions, head_dim / 2]
  std::int64_t rope_positions = 0;  // rows of the tables that are filled

  // Which rows belong to which sequence: the storage behind a SequenceBatch.
  std::vector<std::int32_t> row_begin, n_past, ids, rows;
  std::vector<std::span<const std::int32_t>> pages;
  // Of these, the wanted rows, and how many of each sequence.
  std::vector<std::int32_t> n_wanted, wanted_begin, wanted_past;
  std::vector<std::span<const std::int32_t>> wanted_pages;

  std::unique_ptr<ReadQueue> reads;  // next_ids, and log_probs if wanted, of the steps that were enqueued
  bool want_log_probs = false;       // the caller's choice; may change when no step is under way
  bool has_choices = false;          // start_steps was given choices
};

/// One sequence of a prefill call.
struct PrefillInput {
  KvSequence* sequence = nullptr;     ///< positions are appended to it; room is reserved by the call
  std::span<const std::int32_t> ids;  ///< at least one
  ConstTensorView audio;              ///< [n_audio_tokens, hidden] f32: one row per placeholder in `ids`, in order
};

class TextDecoder {
 public:
  TextDecoder(const TextDecoderConfig& config, int audio_token_id, const WeightPacker& weights);

  /// Runs all rows of every sequence and fills the KV cache.
  ///   next_ids  [inputs.size()] most likely id after each sequence's last row
  /// Afterwards logits() of the workspace holds [inputs.size(), vocab]. All sequences must share one pool.
  /// @throws Error kInternal  a position beyond max_positions, placeholders and audio rows that do not match in number
  void prefill(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace,
               std::span<std::int32_t> next_ids) const;

  /// The rows of prefill alone, in one pass: no choice of next ids. What a sequence's positions hold does not depend on
  /// how its ids are spread over calls.
  void extend(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const;

  /// A call of extend() in slices. The sequences' pages must stay theirs and `inputs` alive until it is done.
  struct ExtendPass {
    std::vector<PrefillInput> inputs;
    int next_layer = 0;  ///< what is computed
    bool is_begun = false;
  };
  /// extend() up to where `pause` says so, which is asked between layers. Other passes may come in between, with
  /// workspaces of their own.
  /// @return true when it is done: the sequences have their new positions, which they do not have before
  bool extend_slice(ExtendPass& pass, DecoderWorkspace& workspace, const std::function<bool()>& pause) const;

  /// extend(), and what follows: the most likely id after each of the last rows of every input. Verifies a draft of an
  /// answer in one pass: row by row these are the choices that decode steps over the same ids would have made.
  ///   n_choices  [inputs.size()] rows at the end of each input whose next id is wanted, perhaps 0
  ///   next_ids   [sum of n_choices]
  ///   log_probs  the same size, or empty: log-softmax at next_ids
  void extend_and_choose(std::span<const PrefillInput> inputs, std::span<const int> n_choices,
                         DecoderWorkspace& workspace, std::span<std::int32_t> next_ids,
                         std::span<float> log_probs) const;

  /// Receives the head's output at wanted rows, some rows at a time, in order: the index of the largest logit, its
  /// log-softmax, and the logits [rows, n_logits()], all in host memory.
  using RowSink = std::function<void(std::span<const std::int32_t> best, std::span<const float> log_probs,
                                     std::span<const float> logits)>;

  /// One pass of a classifier (the forced aligner): the rows of prefill, and the head at wanted rows of every input.
  ///   wanted  [inputs.size()] ascending indices into the ids of each input
  void classify(std::span<const PrefillInput> inputs, std::span<const std::span<const std::int32_t>> wanted,
                DecoderWorkspace& workspace, const RowSink& sink) const;

  /// Columns of the logits: the vocabulary, or the classes of a forced aligner.
  std::int64_t n_logits() const { return (head_ == nullptr ? embedding_ : head_)->out_features(); }

  /// Appends one id to every sequence.
  ///   ids, next_ids  [sequences.size()], may be the same memory
  void decode_step(std::span<KvSequence* const> sequences, std::span<const std::int32_t> ids,
                   DecoderWorkspace& workspace, std::span<std::int32_t> next_ids) const;

  /// The same in three parts, so that several steps can be under way before the ids of the first are known:
  /// start_steps gives the ids of the first step, enqueue_step appends one id to every sequence, each the choice of the
  /// step before, and read_step waits for the choices of the oldest step not yet read. All steps between two
  /// start_steps have the same sequences in the same order.
  ///   choices  empty: the most likely token of every sequence; else [sequences.size()], for up to n_steps steps
  void start_steps(std::span<const std::int32_t> ids, DecoderWorkspace& workspace,
                   std::span<const RowChoice> choices = {}, int n_steps = 0) const;
  void enqueue_step(std::span<KvSequence* const> sequences, DecoderWorkspace& workspace) const;
  ///   log_probs  [n_sequences] if the workspace wants them: log-softmax of the logits at next_ids
  void read_step(DecoderWorkspace& workspace, std::span<std::int32_t> next_ids, std::span<float> log_probs = {}) const;
  /// Steps worth enqueuing before the first is read.
  int run_ahead_steps() const { return backend_.run_ahead_steps(); }

  const TextDecoderConfig& config() const { return config_; }
  /// Packed matrices that a decode step reads: all layers and the head, whatever the number of sequences.
  std::size_t step_weight_bytes() const;

 private:
  struct Layer {
    DeviceTensor attention_norm;                  // [hidden]  input_layernorm
    std::unique_ptr<LinearWeight> qkv;            // [(n_heads + 2 n_kv_heads) * head_dim, hidden]
    DeviceTensor q_norm, k_norm;                  // [head_dim]
    std::unique_ptr<LinearWeight> attention_out;  // [hidden, n_heads * head_dim]  o_proj
    DeviceTensor ff_norm;                         // [hidden]  post_attention_layernorm
    std::unique_ptr<LinearWeight> gate_up;        // [2 * d_ff, hidden]
    std::unique_ptr<LinearWeight> down;           // [hidden, d_ff]
  };

  // Rows of one prompt that share a pass.
  struct Part {
    std::size_t input = 0;     // index into the inputs
    std::size_t first_id = 0;  // into PrefillInput::ids
    std::size_t n_ids = 0;
    std::int64_t first_audio_row = 0;
    std::int64_t n_audio_rows = 0;
    const PrefillInput* source = nullptr;
  };

  void make_room(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const;
  // How many rows at the end of a part have an output that somebody reads.
  using CountWanted = std::function<std::int32_t(const Part&)>;
  // Their outputs, part after part.
  using AfterPass = std::function<void(std::span<const Part>, ConstTensorView wanted)>;
  void run_passes(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace, const CountWanted& count_wanted,
                  const AfterPass& after_pass) const;
  std::vector<Part> next_pass(std::span<const PrefillInput> inputs, Part& cursor) const;
  void embed_parts(std::span<const Part> parts, DecoderWorkspace& workspace) const;
  ConstTensorView extend_rows(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const;
  SequenceBatch upload_batch(DecoderWorkspace& workspace) const;
  SequenceBatch upload_tables(SequenceBatch batch, DeviceTensor& memory) const;
  void resize_activations(std::int64_t n_rows, std::int64_t n_sequences, DecoderWorkspace& workspace) const;
  void begin_extend(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const;
  ConstTensorView run_layers(const SequenceBatch& batch, KvCache& cache, DecoderWorkspace& workspace) const;
  void run_layer(int index, TensorView x, const SequenceBatch& batch, KvCache& cache,
                 DecoderWorkspace& workspace) const;
  ConstTensorView run_last_layer(const SequenceBatch& batch, KvCache& cache, DecoderWorkspace& workspace) const;
  SequenceBatch wanted_rows(const SequenceBatch& batch, DecoderWorkspace& workspace) const;
  void append_keys_and_values(int index, const SequenceBatch& batch, KvCache& cache, DecoderWorkspace& workspace) const;
  Backend::QkvNormRope qkv_of(int index, const DecoderWorkspace& workspace) const;
  TensorView operand(DeviceTensor& rows, std::int64_t n_rows, const LinearWeight& w) const;
  void next_tokens(ConstTensorView hidden, DecoderWorkspace& workspace) const;
  std::vector<std::uintptr_t> step_key(const SequenceBatch& batch, const KvCache& cache,
                                       const DecoderWorkspace& workspace) const;
  void grow_rope(std::int64_t n_positions, DecoderWorkspace& workspace) const;

  TextDecoderConfig config_;
  int audio_token_id_;
  Backend& backend_;
  std::unique_ptr<LinearWeight> embedding_;  // [vocab, hidden]
  std::unique_ptr<LinearWeight> head_;       // the same; null: tied to the embedding
  std::vector<Layer> layers_;
  DeviceTensor final_norm_;  // [hidden]
};

/// cos and sin of position * theta^(-2 i / head_dim) for positions [0, n_positions): [n_positions, head_dim / 2] each.
/// The product is rounded to f32 as in the reference.
void rope_tables(std::int64_t n_positions, int head_dim, double theta, std::vector<float>& cosines,
                 std::vector<float>& sines);

}  // namespace qasr
