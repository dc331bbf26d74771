#!/usr/bin/env python3
"""Word error rates of `qasr transcribe --json` against a manifest. Standard library only.

    qasr transcribe --quiet --json DIR/*.flac | tools/word_error_rate.py DIR/manifest.tsv

The manifest is tab-separated with a header; it needs the columns `file` and `reference`, and rates are also given per
value of a column `set` if there is one. Two rates: words in lower case without punctuation, and words as written.
"""
import argparse
import csv
import json
import re
import sys
from collections import defaultdict
from pathlib import Path


def plain_words(text: str) -> list[str]:
    """Lower case, without punctuation; apostrophes inside words stay."""
    text = re.sub(r"[^\w' ]", " ", text.lower().replace("-", " "))
    return re.sub(r"(?<!\w)'|'(?!\w)", " ", text).split()


def word_edits(expected: list[str], found: list[str]) -> int:
    """Levenshtein distance over words."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--transcripts", type=argparse.FileType(encoding="utf-8"), default=sys.stdin)
    args = parser.parse_args()
    found = {Path(entry["file"]).name: entry["text"] for entry in map(json.loads, args.transcripts)}
    # set -> [clips, words, edits, words as written, edits as written]
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    with args.manifest.open(encoding="utf-8", newline="") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["file"] not in found:
                print(f"no transcript of {row['file']}", file=sys.stderr)
                return 1
            text, reference = found[row["file"]], row["reference"]
            expected, written = plain_words(reference), reference.split()
            counts = (1, len(expected), word_edits(expected, plain_words(text)), len(written),
                      word_edits(written, text.split()))
            for name in (row.get("set", ""), "all"):
                sums[name] = [a + b for a, b in zip(sums[name], counts)]
    print(f"{'set':<24} {'clips':>5} {'words':>6} {'WER %':>6} {'as written %':>13}")
    for name in sorted(sums, key=lambda key: (key == "all", key)):
        clips, words, edits, written_words, written_edits = sums[name]
        print(f"{name:<24} {clips:>5} {words:>6} {100 * edits / max(1, words):>6.2f} "
              f"{100 * written_edits / max(1, written_words):>13.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
