"""Reads a checkpoint that `qasr quantize` wrote with MLX itself and prints the CRC-32 of every tensor's values (f32, kernels
as [O, I, H, W]): what src/weights/quantize_test.cc compares with.

    qasr quantize tests/data/formats/transformers OUT --bits 4
    tools/check_mlx.py OUT > tests/data/formats/quantized_by_qasr.json
"""

import argparse
import importlib.metadata
import json
import zlib
from pathlib import Path

import mlx.core as mx
import numpy as np


def settings_of(config: dict, module: str) -> tuple[int, int]:
    """(group size, bits) the way MLX readers find them: a module's own, else the common ones."""
    common = config["quantization"]
    own = common.get(module)
    chosen = own if isinstance(own, dict) else common
    return chosen["group_size"], chosen["bits"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    model = parser.parse_args().model
    config = json.loads((model / "config.json").read_text())
    tensors, values = mx.load(str(model / "model.safetensors")), {}
    for name, array in tensors.items():
        module = name.rsplit(".", 1)[0]
        if name.endswith((".scales", ".biases")):
            continue
        if name.endswith(".weight") and module + ".scales" in tensors:
            if config["quantization"].get(module) is False:
                raise ValueError(f"check_mlx: {module} is quantised, config.json says it is not")
            group_size, bits = settings_of(config, module)
            scales, biases = (tensors[f"{module}.{part}"].astype(mx.float32) for part in ("scales", "biases"))
            array = mx.dequantize(array, scales, biases, group_size=group_size, bits=bits)
        value = np.array(array.astype(mx.float32))
        values[name] = value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
    crc = {name: zlib.crc32(np.ascontiguousarray(value, dtype="<f4").tobytes()) for name, value in sorted(values.items())}
    origin = {"command": "tools/check_mlx.py", "mlx": importlib.metadata.version("mlx")}
    print(json.dumps({"origin": origin, "crc32": crc}, indent=1))


if __name__ == "__main__":
    main()
