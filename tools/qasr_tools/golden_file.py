"""Golden data on disk: arrays in safetensors (f32 and i32), everything else in golden.json with its origin."""

import hashlib
import json
import platform
import re
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

MAX_ROWS = 24


def chosen_rows(n_rows: int, edges: list[int], limit: int = MAX_ROWS) -> list[int]:
    """All rows if there are few; else both ends, both sides of every edge that fits, and even spacing."""
    if n_rows <= limit:
        return list(range(n_rows))
    rows = {0, 1, n_rows - 2, n_rows - 1}
    for edge in edges:
        if 0 < edge < n_rows and len(rows) + 2 <= limit:
            rows |= {edge - 1, edge}
    spacing = 1
    while len(rows) < limit:
        spacing += 1
        for part in range(1, spacing):
            if len(rows) < limit:
                rows.add(part * (n_rows - 1) // spacing)
    return sorted(rows)


def window_edges(bounds: list[int], tokens_per_chunk: int) -> list[int]:
    """Token rows where a window starts, then where the second and third chunk start."""
    return bounds[1:-1] + [tokens_per_chunk, 2 * tokens_per_chunk]


def save_arrays(path: Path, arrays: dict) -> str:
    """Writes and returns the file's sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    converted = {}
    for name, value in arrays.items():
        value = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        dtype = np.float32 if value.dtype.kind == "f" else np.int32
        converted[name] = np.ascontiguousarray(value.astype(dtype))
    save_file(converted, path)
    path.chmod(0o644)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def origin(command: str, device="cpu", **more) -> dict:
    name = torch.cuda.get_device_name(device) if str(device).startswith("cuda") else "cpu"
    return {"reference": "transformers Qwen3ASRForConditionalGeneration, float32, windowed encoder attention",
            "transformers": transformers.__version__, "torch": torch.__version__,
            "python": platform.python_version(), "device": name, "command": command} | more


def save_json(path: Path, content: dict) -> None:
    """Indented, but lists of numbers stay on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s*(-?[\d.e+-]+(?:,\s*-?[\d.e+-]+)*)\s*\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]",
                  text)
    path.write_text(text + "\n", encoding="utf-8")


def exact_f32() -> None:
    """No TF32 and deterministic choices on GPUs."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
