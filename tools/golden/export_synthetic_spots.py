"""Writes tests/golden/synthetic/spots.json: values that every implementation of the synthetic rule must reproduce.

    python3 tools/golden/export_synthetic_spots.py --out tests/golden/synthetic/spots.json

The rule is docs/synthetic-checkpoints.md. This file computes it on its own, one formula after the other in numpy's
64-bit integers, and imports neither of the implementations it checks (src/weights/synthetic.cc,
tools/qasr_tools/synthetic.py).
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

WORD = (1 << 32) - 1
BLOCK = 1 << 22

# config, official name, shape, seed: one of every kind of tensor, several seeds, one tensor of full size.
TENSORS = [
    ("tiny_a", "thinker.audio_tower.conv2d1.weight", (12, 1, 3, 3), 0),
    ("tiny_a", "thinker.audio_tower.conv2d2.weight", (12, 12, 3, 3), 0),
    ("tiny_a", "thinker.audio_tower.layers.1.fc1.bias", (80,), 0),
    ("tiny_a", "thinker.audio_tower.layers.1.self_attn_layer_norm.weight", (48,), 3),
    ("tiny_a", "thinker.model.embed_tokens.weight", (1543, 40), 0),
    ("tiny_a", "thinker.model.layers.2.self_attn.q_norm.weight", (16,), 0),
    ("tiny_a", "thinker.model.layers.2.mlp.down_proj.weight", (40, 72), 4294967295),
    ("tiny_a", "thinker.model.norm.weight", (40,), 11),
    ("tiny_c", "thinker.audio_tower.conv_out.weight", (56, 200), 0),
    ("tiny_c", "thinker.audio_tower.ln_post.weight", (56,), 0),
    ("tiny_c", "thinker.audio_tower.ln_post.bias", (56,), 0),
    ("tiny_c", "thinker.model.layers.0.input_layernorm.weight", (24,), 0),
    ("tiny_c", "thinker.model.layers.1.self_attn.o_proj.weight", (24, 96), 12345),
    ("qwen3-asr-0.6b", "thinker.model.embed_tokens.weight", (151936, 1024), 0),
    ("qwen3-asr-0.6b", "thinker.model.layers.27.post_attention_layernorm.weight", (1024,), 0),
    ("qwen3-forced-aligner-0.6b", "thinker.lm_head.weight", (5000, 1024), 0),
    ("tiny_e-spiky", "thinker.audio_tower.conv2d2.weight", (25, 25, 3, 3), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.0.self_attn_layer_norm.weight", (226,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.0.final_layer_norm.weight", (226,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.1.self_attn.out_proj.weight", (226, 226), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.1.self_attn.out_proj.bias", (226,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.1.fc1.weight", (353, 226), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.1.fc1.bias", (353,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.1.fc2.weight", (226, 353), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.1.fc2.bias", (226,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.0.fc2.weight", (226, 353), 5),
    ("tiny_e-spiky", "thinker.audio_tower.layers.0.fc2.bias", (226,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.ln_post.weight", (226,), 5),
    ("tiny_e-spiky", "thinker.audio_tower.proj2.weight", (225, 226), 5),
    ("tiny_e-spiky", "thinker.model.layers.0.input_layernorm.weight", (225,), 5),
    ("tiny_e-spiky", "thinker.model.layers.2.self_attn.o_proj.weight", (225, 132), 5),
    ("tiny_e-spiky", "thinker.model.layers.2.self_attn.k_norm.weight", (22,), 5),
    ("tiny_e-spiky", "thinker.model.layers.2.mlp.gate_proj.weight", (353, 225), 5),
    ("tiny_e-spiky", "thinker.model.layers.2.mlp.down_proj.weight", (225, 353), 5),
    ("tiny_e-spiky", "thinker.model.norm.weight", (225,), 5),
    ("qwen3-asr-0.6b-spiky", "thinker.model.layers.0.mlp.down_proj.weight", (1024, 3072), 0),
    ("qwen3-asr-0.6b-spiky", "thinker.model.layers.10.mlp.down_proj.weight", (1024, 3072), 0),
    ("qwen3-asr-0.6b-spiky", "thinker.model.layers.27.input_layernorm.weight", (1024,), 0),
    ("qwen3-asr-0.6b-spiky", "thinker.model.layers.27.mlp.up_proj.weight", (3072, 1024), 0),
]
# Factors of the spiky rule: name endings -> usual rows, large rows, distance between large rows. The first match decides.
SPIKY = [
    (("thinker.audio_tower.layers.0.self_attn_layer_norm.weight", "thinker.model.layers.0.input_layernorm.weight",
      "q_norm.weight", "k_norm.weight"), (1, 1, 1)),
    (("layer_norm.weight", "layernorm.weight", "ln_post.weight", "model.norm.weight"), (16, 1, 160)),
    (("o_proj.weight", "out_proj.weight", "out_proj.bias"), (1, 200, 160)),
    ((".layers.0.mlp.down_proj.weight", ".layers.0.fc2.weight", ".layers.0.fc2.bias"), (16, 3200, 160)),
    (("down_proj.weight", "fc2.weight", "fc2.bias"), (2, 400, 160)),
    (("gate_proj.weight", "up_proj.weight"), (1, 4, 640)),
    (("fc1.weight",), (1, 16, 640)),
    (("",), (1, 1, 1)),
]
LOG_MELS = [(128, 7), (80, 101), (128, 3000)]  # n_mels, n_frames


def start_of(name: str, seed: int) -> int:
    state = 2166136261
    for byte in name.encode():
        state = ((state ^ byte) * 16777619) & WORD
    return state ^ ((seed * 0x9E3779B9) & WORD)


def hashes(start: int, begin: int, end: int) -> np.ndarray:
    word = np.uint64(WORD)
    index = np.arange(begin, end, dtype=np.uint64)
    x = (((index * np.uint64(0x9E3779B1)) & word) + np.uint64(start)) & word
    x = x ^ (x >> np.uint64(16))
    x = (x * np.uint64(0x7FEB352D)) & word
    x = x ^ (x >> np.uint64(15))
    x = (x * np.uint64(0x846CA68B)) & word
    return x ^ (x >> np.uint64(16))


def uniform(x: np.ndarray) -> np.ndarray:
    u = (x >> np.uint64(8)).astype(np.float64) / 8388608.0 - 1.0
    single = u.astype(np.float32)
    assert np.array_equal(single.astype(np.float64), u), "u must be exact in f32"
    return single


def factors(config: str, name: str, shape: tuple, begin: int, end: int) -> np.ndarray:
    """What the spiky rule multiplies the scale of each element with, f64; 1 for other configurations."""
    if not config.endswith("-spiky"):
        return np.ones(end - begin)
    usual, large, distance = next(row for endings, row in SPIKY if name.endswith(endings))
    row = np.arange(begin, end) // (int(np.prod(shape)) // shape[0])
    return np.where(row % distance == 37, np.float64(large), np.float64(usual))


def values(config: str, name: str, shape: tuple, seed: int, begin: int, end: int) -> np.ndarray:
    x = hashes(start_of(name, seed), begin, end)
    u, factor = uniform(x), factors(config, name, shape, begin, end)
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return (np.float32(1) + u / np.float32(8)) * np.float32(1.5)
    if name.endswith(("layer_norm.weight", "layernorm.weight", "ln_post.weight", "model.norm.weight")):
        value = (np.float32(1) + u / np.float32(8)) * factor.astype(np.float32)
        return np.where(x % np.uint64(64) == 0, value * np.float32(4), value)
    if name.endswith(".bias"):
        scale = np.float64(0.1)
    elif name.endswith("model.embed_tokens.weight"):
        scale = np.float64(0.07)
    elif len(shape) == 4:
        scale = np.sqrt(np.float64(3) / (shape[1] * 9)) * 1.5
    else:
        scale = np.sqrt(np.float64(3) / shape[1])
    return u * (scale * factor).astype(np.float32)


def bf16_bits(value: np.ndarray) -> np.ndarray:
    """Nearest, ties to even: by comparing what is cut off with half a unit."""
    bits = value.view(np.uint32).astype(np.uint64)
    kept, cut = bits >> np.uint64(16), bits & np.uint64(0xFFFF)
    up = (cut > 0x8000) | ((cut == 0x8000) & (kept % np.uint64(2) == 1))
    return kept + up.astype(np.uint64)


def spot_indices(n: int, rows: int = 1) -> list:
    """The first four, some in the middle, the last; and both sides of the edges of row 37, if there is one."""
    middle, columns = [n // 3, n // 2, n // 2 + 1, 2 * n // 3], n // rows
    edges = [37 * columns - 1, 37 * columns, 38 * columns - 1, 38 * columns] if rows > 38 else []
    return sorted({*range(min(4, n)), *middle, *edges, n - 1})


def tensor_entry(config: str, name: str, shape: tuple, seed: int) -> dict:
    n = int(np.prod(shape))
    bf16_sum = f32_sum = 0
    for begin in range(0, n, BLOCK):
        block = values(config, name, shape, seed, begin, min(begin + BLOCK, n))
        bf16_sum += int(bf16_bits(block).sum())
        f32_sum += int(block.view(np.uint32).astype(np.uint64).sum())
    spots = []
    for index in spot_indices(n, shape[0] if config.endswith("-spiky") else 1):
        value = values(config, name, shape, seed, index, index + 1)
        spots.append({"index": index, "f32": int(value.view(np.uint32)[0]), "bf16": int(bf16_bits(value)[0]),
                      "value": repr(float(value[0]))})
    return {"config": config, "name": name, "shape": list(shape), "seed": seed, "spots": spots,
            "bf16_bits_sum": bf16_sum, "f32_bits_sum": f32_sum}


def log_mel_entry(n_mels: int, n_frames: int) -> dict:
    u = uniform(hashes(start_of("qasr.test.log_mel", n_frames), 0, n_mels * n_frames))
    mel = u * np.float32(0.75) + np.float32(0.25)
    bits = mel.view(np.uint32).astype(np.uint64)
    return {"n_mels": n_mels, "n_frames": n_frames, "f32_bits_sum": int(bits.sum()),
            "spots": [{"index": i, "f32": int(bits[i]), "value": repr(float(mel[i]))} for i in spot_indices(mel.size)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    source = Path(__file__)
    document = {
        "origin": {"script": "tools/golden/" + source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
                   "numpy": np.__version__, "rule": "docs/synthetic-checkpoints.md"},
        "tensors": [tensor_entry(*tensor) for tensor in TENSORS],
        "log_mels": [log_mel_entry(*sizes) for sizes in LOG_MELS],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
