"""Writes reference transcripts of the demonstration model for a set of recordings, with word error rates.

    python3 tools/golden/export_wer.py --model models/demo-en --audio tests/data/heldout \
        --manifest tests/data/heldout/manifest.tsv --out tests/golden/demo/heldout.json

The manifest has a header line with the columns `file` and `reference`; others are ignored, except `set`, by which error
rates are also given. Recordings run one at a time, so that batching cannot change a close call.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import _path  # noqa: F401
from export_demo import Demo
from qasr_tools import answer, golden_file


def error_rate(entries: list[dict]) -> float:
    return sum(entry["word_edits"] for entry in entries) / max(1, sum(entry["n_words"] for entry in entries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    golden_file.exact_f32()
    demo = Demo(args.model)
    entries, by_set = [], defaultdict(list)
    with args.manifest.open(encoding="utf-8", newline="") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE):
            result = demo.transcribe(demo.encode(args.audio / row["file"])[1]["output"])
            expected = answer.words(row["reference"])
            entry = {"file": row["file"], "reference": row["reference"], "output_ids": result["output_ids"],
                     "raw": result["raw"], "transcript": result["transcript"], "min_gap": result["min_gap"],
                     "n_words": len(expected),
                     "word_edits": answer.word_edits(expected, answer.words(result["transcript"]))}
            entries.append(entry)
            by_set[row.get("set", "all")].append(entry)
    rates = {name: round(error_rate(group), 5) for name, group in sorted(by_set.items())}
    golden_file.save_json(args.out, {
        "origin": golden_file.origin(f"tools/golden/export_wer.py --model {args.model} --audio {args.audio} "
                                     f"--manifest {args.manifest} --out {args.out}"),
        "word_error_rate": error_rate(entries), "word_error_rate_by_set": rates, "recordings": entries})
    print(f"{len(entries)} recordings, WER {100 * error_rate(entries):.2f} %, {rates}, "
          f"smallest margin {min(entry['min_gap'] for entry in entries):.4f}")


if __name__ == "__main__":
    main()
