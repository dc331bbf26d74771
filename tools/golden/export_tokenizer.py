"""Writes golden data of a tokenizer: ids and decoded texts of Hugging Face tokenizers for thousands of strings.

    python3 tools/unpack_qwen3_tokenizer.py tests/data/qwen3-tokenizer build/qwen3-tokenizer
    python3 tools/golden/export_tokenizer.py --tokenizer build/qwen3-tokenizer --out tests/golden/tokenizer
    python3 tools/golden/export_tokenizer.py --tokenizer models/demo-en --out tests/golden/tokenizer_demo --every 5

The reference is built as Qwen2Tokenizer of transformers builds it and compared with that class on every string.

cases.jsonl, one case a line:
    text | hex       what is encoded; hex: bytes that are not valid UTF-8 (decoded with errors="replace" first)
    ids              its ids; a line without text or hex has ids only, random ones
    literal_ids      the ids when added tokens are not recognised, if different
    decoded          ids -> text with special tokens, if different from the text
    decoded_skip     ids -> text without special tokens, if different from `decoded`
"""

import argparse
import hashlib
import json
import platform
import random
from pathlib import Path

import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizer_corpus import texts
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX, Qwen2Tokenizer


def read_added_tokens(folder: Path) -> dict[int, AddedToken]:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return {int(token_id): AddedToken(**entry) for token_id, entry in config["added_tokens_decoder"].items()}


def byte_level_bpe(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class Reference:
    def __init__(self, folder: Path):
        self.added = read_added_tokens(folder)
        self._literal = byte_level_bpe(folder)
        self._full = byte_level_bpe(folder)
        for token_id, token in sorted(self.added.items()):
            self._full.add_tokens([token])
            assert self._full.token_to_id(token.content) == token_id, token
        special = [token for token in self.added.values() if token.special]
        self._full.add_special_tokens(special)
        self.size = self._full.get_vocab_size()
        self._transformers = Qwen2Tokenizer(vocab=json.loads((folder / "vocab.json").read_text(encoding="utf-8")),
                                            merges=[tuple(line.split(" ")) for line in self._merge_lines(folder)])
        self._transformers.add_tokens([token for _, token in sorted(self.added.items())])

    @staticmethod
    def _merge_lines(folder: Path) -> list[str]:
        return [line for line in (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:] if line]

    def encode(self, text: str) -> list[int]:
        ids = self._full.encode(text, add_special_tokens=False).ids
        same = self._transformers.encode(text, add_special_tokens=False)
        assert ids == same, f"{text!r}: tokenizers {ids}, transformers {same}"
        return ids

    def encode_literally(self, text: str) -> list[int]:
        return self._literal.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int], skip_special: bool) -> str:
        return self._full.decode(ids, skip_special_tokens=skip_special)


def decoded_fields(reference: Reference, ids: list[int], text: str | None) -> dict:
    decoded, skipped = reference.decode(ids, False), reference.decode(ids, True)
    return ({"decoded": decoded} if decoded != text else {}) | ({"decoded_skip": skipped} if skipped != decoded else {})


def text_case(reference: Reference, source: str | bytes) -> dict:
    text = source if isinstance(source, str) else source.decode("utf-8", errors="replace")
    ids, literal_ids = reference.encode(text), reference.encode_literally(text)
    # Damaged bytes that happen to be valid are stored as text like any other.
    case = {"text": text} if isinstance(source, str) or text.encode("utf-8") == source else {"hex": source.hex()}
    case |= {"ids": ids} | ({"literal_ids": literal_ids} if literal_ids != ids else {})
    return case | decoded_fields(reference, ids, case.get("text"))


def random_ids_cases(reference: Reference, n_cases: int):
    """Ids that no text gives: incomplete and invalid UTF-8 across tokens, special tokens in between."""
    randomness = random.Random(7)
    byte_ids = reference.encode_literally("".join(map(chr, range(0x80, 0x100))))
    added = sorted(reference.added)
    for number in range(n_cases):
        pools = [range(256), range(reference.size), added, byte_ids][: 2 + number % 3]
        ids = [randomness.choice(randomness.choice(pools)) for _ in range(randomness.randint(1, 12))]
        yield {"ids": ids} | decoded_fields(reference, ids, None)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every n-th text")
    arguments = parser.parse_args()

    reference = Reference(arguments.tokenizer)
    added_contents = [token.content for _, token in sorted(reference.added.items())]
    chosen = list(texts(added_contents))[:: arguments.every]
    cases = [text_case(reference, text) for text in chosen]
    cases += random_ids_cases(reference, len(chosen) // 8)

    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "cases.jsonl"
    path.write_text("".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) + "\n" for case in cases),
                    encoding="utf-8")
    golden = {
        "origin": {
            "reference": "Hugging Face tokenizers, configured as Qwen2Tokenizer of transformers and compared with it",
            "command": f"python3 tools/golden/export_tokenizer.py --tokenizer DIR --out {arguments.out}"
                       + (f" --every {arguments.every}" if arguments.every > 1 else ""),
            "tokenizers": tokenizers.__version__, "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        "tokenizer_sha256": {name: sha256(arguments.tokenizer / name)
                             for name in ("vocab.json", "merges.txt", "tokenizer_config.json")},
        "sha256": {path.name: sha256(path)},
        "n_texts": len(chosen), "n_cases": len(cases), "size": reference.size,
    }
    (arguments.out / "golden.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    print(f"{len(chosen)} texts, {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
