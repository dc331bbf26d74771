"""Small checkpoints in every form, written by the official writers, and what each must decode to: tests/data/formats.

    tools/make_format_fixtures.py --out tests/data/formats

All hold the synthetic model "tiny_q" (docs/synthetic-checkpoints.md), so src/weights can make the original itself.
expected.json has, for every tensor of every form, the CRC-32 of its values as f32 in the engine's layout, decoded by the
package that wrote it.
"""

import argparse
import importlib.metadata
import json
import shutil
import zlib
from pathlib import Path

import gguf
import mlx.core as mx
import numpy as np
from qasr_tools import checkpoint, formats
from qasr_tools.configs import official_config

MODEL = "tiny_q"
ADDED = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>", "<asr_text>")
FIRST_ADDED = 272
MERGES = (("s", "y"), ("sy", "s"), ("u", "s"), ("us", "er"), ("e", "r"), ("Ġ", "t"), ("a", "n"), ("Ã", "©"))
PLAIN = ("F32", "F16", "BF16")
BLOCKS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
K_BLOCKS = ("Q4_K", "Q5_K", "Q6_K")


def byte_characters():
    """Byte-level BPE's printable stand-in of every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def write_tokenizer(directory: Path):
    vocab = {character: byte for byte, character in enumerate(byte_characters())}
    merges = [pair for pair in MERGES if pair != ("us", "er")]  # "er" comes after it
    merges.append(("us", "er"))
    for left, right in merges:
        vocab[left + right] = len(vocab)
    added = {str(FIRST_ADDED + i): {"content": token, "single_word": False, "lstrip": False, "rstrip": False,
                                    "normalized": False, "special": token != "<asr_text>"} for i, token in enumerate(ADDED)}
    (directory / "vocab.json").write_text(json.dumps(vocab))
    (directory / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (directory / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}, indent=1))


def crc(values: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(values, dtype="<f4").tobytes())


def arrays(bf16=True):
    """tiny_q's tensors as f32 of bf16 values."""
    for name, values in checkpoint.synthetic_tensors(MODEL, 0):
        yield name, (values.bfloat16().float() if bf16 else values).numpy()


def mlx_fixture(out: Path, name: str, choose, extra=None, **options):
    config = official_config(MODEL)
    config |= extra or {"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}
    stored = formats.write_mlx(out / name, arrays(), config, choose, **options)
    expected, shapes = {}, {official.removeprefix("thinker."): values.shape for official, values in arrays()}
    for stored_name in stored:
        if stored_name.endswith((".scales", ".biases")):
            continue
        values = formats.mlx_value(stored, stored_name, shapes[stored_name.removeprefix("thinker.")][-1])
        if values.ndim == 4 and options.get("channels_last", True):
            values = values.transpose(0, 3, 1, 2)
        expected[stored_name.removeprefix("thinker.")] = crc(values)
    return expected


def mixed_bits(official):
    if not formats.QUANTIZED.search(official) or "embed_tokens" in official:
        return None
    return {"q_proj": (8, 32), "k_proj": (6, 64), "v_proj": (5, 32), "o_proj": (3, 32), "gate_proj": (2, 64),
            "up_proj": (4, 32), "down_proj": (8, 64)}[official.split(".")[-2]]


def gguf_fixture(out: Path, name: str, layout: str, kind: str, choose=None):
    tokenizer = formats.tokenizer_of(out)
    if layout == "qwen3-asr.cpp":  # its tokens lack what was added; ids come from keys
        tokenizer["tokens"] = [f"[PAD{i}]" if t in ("<|audio_pad|>",) else t for i, t in enumerate(tokenizer["tokens"])]
    formats.write_gguf(out / name, layout, arrays(), official_config(MODEL), tokenizer, kind, choose)
    expected, names = {}, {formats.gguf_name(layout, official): official for official, _ in arrays()}
    shapes = {official: values.shape for official, values in arrays()}
    for path in sorted((out / name).glob("*.gguf")) if layout == "llama.cpp" else [out / name]:
        for stored, values in formats.gguf_values(path):
            if stored in names:
                official = names[stored]
                expected[official.removeprefix("thinker.")] = crc(values.reshape(shapes[official]))
    return expected


def block_fixture(path: Path):
    """Rows of every tensor type with extreme scales; the k types from our encoder and from random bytes."""
    random = np.random.default_rng(5)
    writer, expected = gguf.GGUFWriter(path, "blocks"), {}
    for kind in (*PLAIN, *BLOCKS, *K_BLOCKS):
        values = (random.standard_normal((3, 256)) * np.array([[1], [1e-3], [300]])).astype(np.float32)
        formats._add(writer, kind, values, kind)
    for kind in K_BLOCKS:
        quantized_type = gguf.GGMLQuantizationType[kind]
        data = random.integers(0, 256, (2, gguf.GGML_QUANT_SIZES[quantized_type][1]), dtype=np.uint8)
        scale = np.float16([0.01, -0.5]).view(np.uint8).reshape(2, 2)
        data[:, 208:210] = scale if kind == "Q6_K" else data[:, 208:210] if data.shape[1] > 209 else data[:, :0]
        if kind != "Q6_K":
            data[:, 0:2], data[:, 2:4] = scale, scale[::-1]
        writer.add_tensor(kind + ".random", data, raw_dtype=quantized_type)
    formats._finish(writer)
    for name, values in formats.gguf_values(path):
        expected[name] = crc(values)
    return expected


def affine_fixture(path: Path):
    """Every width and group size of MLX, also f16 and f32 scales."""
    random, stored, expected = np.random.default_rng(6), {}, {}
    for bits in (2, 3, 4, 5, 6, 8):
        for group_size in (32, 64, 128):
            dtype = {32: mx.bfloat16, 64: mx.float16, 128: mx.float32}[group_size]
            values = mx.array((random.standard_normal((2, 256)) * 0.3 + 0.1).astype(np.float32)).astype(dtype)
            name = f"w{bits}_{group_size}."
            stored[name + "weight"], stored[name + "scales"], stored[name + "biases"] = mx.quantize(
                values, group_size=group_size, bits=bits)
            expected[name + "weight"] = crc(formats.mlx_value(stored, name + "weight", 256))
    mx.save_safetensors(str(path), stored)
    return expected


def transformers_fixture(out: Path, name: str):
    _, model = checkpoint.synthetic_model(MODEL, 0)
    model.bfloat16().save_pretrained(out / name, max_shard_size="80KB")
    return {official.removeprefix("thinker."): crc(values) for official, values in arrays()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    write_tokenizer(out)
    all_4 = lambda official: (4, 64) if formats.QUANTIZED.search(official) else None
    expected = {
        "mlx4": mlx_fixture(out, "mlx4", all_4),
        "mlx_mixed": mlx_fixture(out, "mlx_mixed", mixed_bits, prefix="thinker.", channels_last=False,
                                 scale_dtype=mx.float16),
        "llama_q8_0": gguf_fixture(out, "llama_q8_0", "llama.cpp", "Q8_0"),
        "crisp.gguf": gguf_fixture(out, "crisp.gguf", "CrispASR", "Q4_0",
                                   lambda official: "Q5_1" if "down_proj" in official else None),
        "qwen3-asr-cpp.gguf": gguf_fixture(out, "qwen3-asr-cpp.gguf", "qwen3-asr.cpp", "Q5_0",
                                           lambda official: "Q4_1" if "up_proj" in official else None),
        "transcribe-cpp.gguf": gguf_fixture(out, "transcribe-cpp.gguf", "transcribe.cpp", "Q4_0",
                                            lambda official: "BF16" if "self_attn" in official else None),
        "transformers": transformers_fixture(out, "transformers"),
        "blocks.gguf": block_fixture(out / "blocks.gguf"),
        "affine.safetensors": affine_fixture(out / "affine.safetensors"),
    }
    versions = {package: importlib.metadata.version(package) for package in ("gguf", "mlx", "transformers", "numpy")}
    document = {"origin": {"command": "tools/make_format_fixtures.py --out tests/data/formats", **versions}, "crc32": expected}
    (out / "expected.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
