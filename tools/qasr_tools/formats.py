"""Writes a checkpoint in the other forms people have it in, with the official writers: `mlx` and `gguf`.

Names of GGUF tensors and keys: docs/formats.md. Weights come as f32 numpy arrays under official names
("thinker.model.layers.0.self_attn.q_proj.weight"), one at a time.
"""

import json
import re
from pathlib import Path

import gguf
import mlx.core as mx
import numpy as np

QUANTIZED = re.compile(r"model\.(embed_tokens|layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj))\.weight$")

_DECODER = {
    "model.embed_tokens.": "token_embd.", "model.norm.": "output_norm.", "lm_head.": "output.",
    "model.layers.#.input_layernorm.": "blk.#.attn_norm.", "model.layers.#.self_attn.q_proj.": "blk.#.attn_q.",
    "model.layers.#.self_attn.k_proj.": "blk.#.attn_k.", "model.layers.#.self_attn.v_proj.": "blk.#.attn_v.",
    "model.layers.#.self_attn.q_norm.": "blk.#.attn_q_norm.", "model.layers.#.self_attn.k_norm.": "blk.#.attn_k_norm.",
    "model.layers.#.self_attn.o_proj.": "blk.#.attn_output.",
    "model.layers.#.post_attention_layernorm.": "blk.#.ffn_norm.", "model.layers.#.mlp.gate_proj.": "blk.#.ffn_gate.",
    "model.layers.#.mlp.up_proj.": "blk.#.ffn_up.", "model.layers.#.mlp.down_proj.": "blk.#.ffn_down."}


def _encoder(conv, layer, top):
    """Names of the encoder: `conv` numbers three convolutions, `layer` holds (prefix, norm, norm, q k v out, fc1, fc2)."""
    prefix, first, last, q, k, v, out, fc1, fc2 = layer
    names = {f"audio_tower.conv2d{i}.": conv[i - 1] for i in (1, 2, 3)}
    for canonical, stored in (("self_attn_layer_norm", first), ("final_layer_norm", last), ("self_attn.q_proj", q),
                              ("self_attn.k_proj", k), ("self_attn.v_proj", v), ("self_attn.out_proj", out),
                              ("fc1", fc1), ("fc2", fc2)):
        names[f"audio_tower.layers.#.{canonical}."] = f"{prefix}.#.{stored}."
    return names | {f"audio_tower.{canonical}.": stored for canonical, stored in top.items()}


def _gguf_layer(prefix, first, last):
    return (prefix, first, last, "attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down")


GGUF_NAMES = {
    "llama.cpp": _DECODER | _encoder(
        ("a.conv2d.1.", "a.conv2d.2.", "a.conv2d.3."), _gguf_layer("a.blk", "ln1", "ln2"),
        {"conv_out": "a.conv_out.", "ln_post": "a.post_ln.", "proj1": "mm.a.mlp.1.", "proj2": "mm.a.mlp.2."}),
    "qwen3-asr.cpp": _DECODER | _encoder(
        tuple(f"audio.encoder.conv{i}." for i in (1, 2, 3)), _gguf_layer("audio.encoder.blk", "attn_norm", "ffn_norm"),
        {name: f"audio.encoder.{name}." for name in ("conv_out", "ln_post", "proj1", "proj2")}),
    "CrispASR": _DECODER | _encoder(
        tuple(f"audio.conv.{i}." for i in (1, 2, 3)), _gguf_layer("audio.blk", "attn_norm", "ffn_norm"),
        {name: f"audio.{name}." for name in ("conv_out", "ln_post", "proj1", "proj2")}),
    "transcribe.cpp": {
        "model.embed_tokens.": "dec.token_embd.", "model.norm.": "dec.output_norm.", "lm_head.": "dec.output.",
        "model.layers.#.input_layernorm.": "dec.blocks.#.norm_attn.",
        "model.layers.#.post_attention_layernorm.": "dec.blocks.#.norm_ffn."}
    | {f"model.layers.#.self_attn.{c}.": f"dec.blocks.#.attn.{s}." for c, s in (
        ("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("o_proj", "o"), ("q_norm", "q_norm"), ("k_norm", "k_norm"))}
    | {f"model.layers.#.mlp.{n}_proj.": f"dec.blocks.#.ffn.{n}." for n in ("gate", "up", "down")}
    | _encoder(tuple(f"enc.conv.{i}." for i in (0, 1, 2)),
               ("enc.blocks", "norm_attn", "norm_ffn", "attn.q", "attn.k", "attn.v", "attn.out", "ffn.fc1", "ffn.fc2"),
               {name: f"enc.{name}." for name in ("conv_out", "ln_post", "proj1", "proj2")}),
}


def gguf_name(layout: str, official: str) -> str:
    canonical = official.removeprefix("thinker.")
    stem, suffix = canonical.rsplit(".", 1)
    number = re.search(r"\.(\d+)\.", canonical)
    pattern = re.sub(r"\.\d+\.", ".#.", stem + ".")
    return GGUF_NAMES[layout][pattern].replace("#", number.group(1) if number else "") + suffix


# ---- MLX ---------------------------------------------------------------------------------------------------------------

def mlx_tensors(tensors, choose, prefix="", channels_last=True, scale_dtype=mx.bfloat16):
    """{stored name: array}. `choose(name)` is (bits, group size) or None; the rest is bf16."""
    stored = {}
    for official, values in tensors:
        name = prefix + official.removeprefix("thinker.")
        array = mx.array(values)
        if channels_last and values.ndim == 4:
            array = mx.contiguous(array.transpose(0, 2, 3, 1))
        how = choose(official)
        if how is None:
            stored[name] = array.astype(mx.bfloat16)
            continue
        bits, group_size = how
        stem = name.removesuffix("weight")
        parts = mx.quantize(array.astype(scale_dtype), group_size=group_size, bits=bits)
        stored[name], stored[stem + "scales"], stored[stem + "biases"] = parts
        mx.eval(*parts)
    return stored


def write_mlx(directory: Path, tensors, config: dict, choose, **options):
    directory.mkdir(parents=True, exist_ok=True)
    stored = mlx_tensors(tensors, choose, **options)
    mx.save_safetensors(str(directory / "model.safetensors"), stored, metadata={"format": "mlx"})
    (directory / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return stored


def mlx_value(stored, name, cols):
    """A tensor as exact f32: scale * q + bias with one rounding. `cols` tells 4 bits in groups of 32 from 2 of 64."""
    stem = name.removesuffix("weight")
    if stem + "scales" not in stored:
        return np.array(stored[name].astype(mx.float32))
    weight, scales, biases = stored[name], stored[stem + "scales"], stored[stem + "biases"]
    return np.array(mx.dequantize(weight, scales.astype(mx.float32), biases.astype(mx.float32),
                                  group_size=cols // scales.shape[1], bits=weight.shape[1] * 32 // cols))


# ---- GGUF --------------------------------------------------------------------------------------------------------------

def _add(writer, name, values, kind):
    if kind in ("Q4_K", "Q5_K", "Q6_K"):
        from .k_quants import quantize  # gguf-py decodes these but does not encode them
        data = quantize(kind, values)
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[kind])
    elif kind == "F32":
        writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))
    elif kind == "F16":
        writer.add_tensor(name, values.astype(np.float16))
    else:
        quantized_type = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, gguf.quants.quantize(values.astype(np.float32), quantized_type), raw_dtype=quantized_type)


def gguf_kind(official: str, values, kind: str) -> str:
    """What `kind` means for a tensor: vectors and convolutions stay f32 or 16 bits; rows must be whole blocks."""
    if values.ndim == 1:
        return "F32"
    plain = kind if kind in ("F32", "F16", "BF16") else "F16"
    if values.ndim != 2:
        return "F32" if plain == "BF16" else plain
    block = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
    if values.shape[1] % block == 0:
        return kind
    return "Q8_0" if kind.endswith("_K") and values.shape[1] % 32 == 0 else plain


def _common_keys(writer, config, tokenizer, is_published=False):
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokenizer["tokens"])
    writer.add_token_types(tokenizer["types"])
    writer.add_token_merges(tokenizer["merges"])
    writer.add_eos_token_id(tokenizer["eos"])
    if config.get("qasr_max_segment_s"):
        writer.add_float32("qasr.max_segment_s", config["qasr_max_segment_s"])


def _text_keys(writer, arch, text):
    writer.add_uint32(f"{arch}.block_count", text["num_hidden_layers"])
    writer.add_uint32(f"{arch}.context_length", text["max_position_embeddings"])
    writer.add_uint32(f"{arch}.embedding_length", text["hidden_size"])
    writer.add_uint32(f"{arch}.feed_forward_length", text["intermediate_size"])
    writer.add_uint32(f"{arch}.attention.head_count", text["num_attention_heads"])
    writer.add_uint32(f"{arch}.attention.head_count_kv", text["num_key_value_heads"])
    writer.add_uint32(f"{arch}.attention.key_length", text["head_dim"])
    writer.add_uint32(f"{arch}.attention.value_length", text["head_dim"])
    writer.add_float32(f"{arch}.attention.layer_norm_rms_epsilon", text["rms_norm_eps"])
    writer.add_float32(f"{arch}.rope.freq_base", text["rope_theta"])


def _finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_gguf(out: Path, layout: str, tensors, config: dict, tokenizer: dict, kind: str, choose=None):
    """llama.cpp: `out` is a directory for the pair; else a file. `choose(official)` overrides `kind`."""
    thinker = config["thinker_config"]
    audio, text = thinker["audio_config"], thinker["text_config"]
    if layout == "llama.cpp":
        out.mkdir(parents=True, exist_ok=True)
        text_writer, audio_writer = gguf.GGUFWriter(out / "text.gguf", "qwen3vl"), gguf.GGUFWriter(out / "mmproj.gguf", "clip")
        _text_keys(text_writer, "qwen3vl", text)
        _common_keys(text_writer, config, tokenizer)
        audio_writer.add_bool("clip.has_audio_encoder", True)
        audio_writer.add_string("clip.audio.projector_type", "qwen3a")
        for key, value in (("num_mel_bins", audio["num_mel_bins"]), ("embedding_length", audio["d_model"]),
                           ("feed_forward_length", audio["encoder_ffn_dim"]), ("block_count", audio["encoder_layers"]),
                           ("attention.head_count", audio["encoder_attention_heads"]), ("projection_dim", audio["output_dim"])):
            audio_writer.add_uint32(f"clip.audio.{key}", value)
        audio_writer.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-5)
        _add(audio_writer, "a.position_embd.weight", np.zeros((4, audio["d_model"]), np.float32), "F32")
    else:
        arch = {"qwen3-asr.cpp": "qwen3-asr", "CrispASR": "qwen3asr", "transcribe.cpp": "qwen3_asr"}[layout]
        out.parent.mkdir(parents=True, exist_ok=True)
        text_writer = audio_writer = gguf.GGUFWriter(out, arch)
        if layout == "qwen3-asr.cpp":
            _text_keys(text_writer, arch, text)
            text_writer.add_uint32("qwen3-asr.audio.encoder.attention.head_count", audio["encoder_attention_heads"])
            text_writer.add_uint32("qwen3-asr.audio.num_mel_bins", audio["num_mel_bins"])
            text_writer.add_uint32("qwen3-asr.audio.pad_token_id", thinker["audio_token_id"])
        else:
            encoder, decoder = (("qwen3asr.audio", "qwen3asr.llm") if layout == "CrispASR"
                                else ("stt.qwen3_asr.encoder", "stt.qwen3_asr.decoder"))
            text_writer.add_uint32(f"{encoder}.n_heads", audio["encoder_attention_heads"])
            text_writer.add_float32(f"{decoder}.rope_theta", text["rope_theta"])
            text_writer.add_float32(f"{decoder}.rms_norm_eps", text["rms_norm_eps"])
            text_writer.add_uint32(f"{decoder}.max_pos", text["max_position_embeddings"])
            text_writer.add_uint32(f"{encoder.split('.')[0]}.audio_pad_token_id", thinker["audio_token_id"])
            if layout == "CrispASR":
                _add(text_writer, "audio.mel_window", np.zeros(4, np.float32), "F32")
        _common_keys(text_writer, config, tokenizer)
    for official, values in tensors:
        is_audio = "audio_tower." in official
        if layout == "llama.cpp" and ".conv2d" in official and values.ndim == 1:
            values = values.reshape(-1, 1, 1)
        chosen = choose(official) if choose and values.ndim == 2 else None
        _add(audio_writer if is_audio else text_writer, gguf_name(layout, official), values,
             chosen or gguf_kind(official, values.reshape(-1) if values.ndim == 3 else values, kind))
    for writer in {id(text_writer): text_writer, id(audio_writer): audio_writer}.values():
        _finish(writer)


def gguf_values(path: Path):
    """(stored name, f32 array in PyTorch's order) of every tensor, decoded by the gguf package."""
    for tensor in gguf.GGUFReader(path).tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        values = tensor.data if tensor.tensor_type == gguf.GGMLQuantizationType.F32 else gguf.quants.dequantize(
            tensor.data, tensor.tensor_type)
        yield tensor.name, np.asarray(values, dtype=np.float32).reshape(shape)


def tokenizer_of(directory: Path) -> dict:
    """Tokens, types and merges as llama.cpp's converter takes them from a Hugging Face tokenizer."""
    vocab = json.loads((directory / "vocab.json").read_text())
    merges = [line for line in (directory / "merges.txt").read_text().splitlines() if line and not line.startswith("#version")]
    added = json.loads((directory / "tokenizer_config.json").read_text()).get("added_tokens_decoder", {})
    ids = {id_: token for token, id_ in vocab.items()} | {int(i): entry["content"] for i, entry in added.items()}
    tokens, types = [], []
    for i in range(max(ids) + 1):
        entry = added.get(str(i))
        tokens.append(ids.get(i, f"[PAD{i}]"))
        types.append(gguf.TokenType.UNUSED if i not in ids else gguf.TokenType.NORMAL if entry is None
                     else gguf.TokenType.CONTROL if entry.get("special") else gguf.TokenType.USER_DEFINED)
    return {"tokens": tokens, "types": types, "merges": merges, "eos": tokens.index("<|im_end|>")}
