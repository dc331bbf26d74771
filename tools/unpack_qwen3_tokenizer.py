#!/usr/bin/env python3
"""Writes vocab.json, merges.txt and tokenizer_config.json of the Qwen3 tokenizer from tests/data/qwen3-tokenizer.

The repository holds the merges only, compressed: the vocabulary follows from them. Ids 0 to 255 are the single bytes
in the order of the byte-level alphabet, id 256 + r is the token that merge r makes. Needs nothing but Python.

    tools/unpack_qwen3_tokenizer.py tests/data/qwen3-tokenizer build/release/qwen3-tokenizer
"""

import argparse
import json
import lzma
import pathlib
import shutil


def byte_level_alphabet():
    """The 256 characters that stand for bytes, in the order of their ids."""
    themselves = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in themselves] + [chr(0x100 + k) for k in range(256 - len(themselves))]


def derive_vocabulary(merges_txt):
    tokens = byte_level_alphabet()
    lines = merges_txt.split("\n")
    assert lines[0].startswith("#version"), lines[0]
    for line in lines[1:]:
        if line:
            left, right = line.split(" ")
            tokens.append(left + right)
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    assert len(vocabulary) == len(tokens), "a token is made by two merges"
    return vocabulary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("destination", type=pathlib.Path)
    arguments = parser.parse_args()

    merges = lzma.decompress((arguments.source / "merges.txt.xz").read_bytes())
    vocabulary = derive_vocabulary(merges.decode("utf-8"))
    arguments.destination.mkdir(parents=True, exist_ok=True)
    (arguments.destination / "merges.txt").write_bytes(merges)
    (arguments.destination / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    shutil.copyfile(arguments.source / "tokenizer_config.json", arguments.destination / "tokenizer_config.json")


if __name__ == "__main__":
    main()
