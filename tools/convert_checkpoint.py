"""Writes a checkpoint directory in another form, with the official writers of that form.

    tools/convert_checkpoint.py MODEL --to mlx --bits 4 --group-size 64 --out DIR
    tools/convert_checkpoint.py MODEL --to llama.cpp --type Q8_0 --out DIR           text.gguf and mmproj.gguf
    tools/convert_checkpoint.py MODEL --to CrispASR --type Q4_K --out FILE.gguf
    tools/convert_checkpoint.py MODEL --to transformers --out DIR                    by transformers' save_pretrained
"""

import argparse
import json
import shutil
from pathlib import Path

from qasr_tools import formats

SIDE_FILES = ("generation_config.json", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json",
              "preprocessor_config.json", "chat_template.json")


def read_arrays(model: Path):
    """(official name, f32 array), shard after shard; a stored tied head is left out."""
    import mlx.core as mx
    import numpy as np
    for shard in sorted(model.glob("*.safetensors")):
        arrays = mx.load(str(shard))
        for name in sorted(arrays):
            if not name.endswith("lm_head.weight"):
                yield name, np.array(arrays.pop(name).astype(mx.float32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--to", required=True, choices=("mlx", "transformers", *formats.GGUF_NAMES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--type", default="Q8_0", help="of GGUF matrices")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=64)
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text())
    if arguments.to == "transformers":
        from qasr_tools import checkpoint
        _, model = checkpoint.load_model(arguments.model)
        model.bfloat16().save_pretrained(arguments.out)
    elif arguments.to == "mlx":
        settings = {"group_size": arguments.group_size, "bits": arguments.bits, "mode": "affine"}
        config |= {"quantization": settings, "quantization_config": settings}
        formats.write_mlx(arguments.out, read_arrays(arguments.model), config, lambda name: (
            (arguments.bits, arguments.group_size) if formats.QUANTIZED.search(name) else None))
    else:
        formats.write_gguf(arguments.out, arguments.to, read_arrays(arguments.model), config,
                           formats.tokenizer_of(arguments.model), arguments.type)
        return
    for name in SIDE_FILES:
        if (arguments.model / name).exists():
            shutil.copy(arguments.model / name, arguments.out)


if __name__ == "__main__":
    main()
